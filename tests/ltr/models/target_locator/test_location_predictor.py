"""Pooling and embedding of proposals in either order."""

from __future__ import annotations

import copy
from unittest import mock

import pytest
import torch

from ltr.models.layers.packed import can_pack
from ltr.models.target_locator import location_predictor
from ltr.models.target_locator.location_predictor import Embedding, normalise

TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 2e-2}
SIZES = torch.tensor([[50.0, 30.0], [12.0, 90.0]])


def layer_and_map() -> tuple[Embedding, torch.Tensor]:
    torch.manual_seed(0)
    layer = Embedding(channels=6, bins=4, stride=16, out_features=5).requires_grad_(False)
    return layer, torch.randn(2, 6, 7, 9)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=str)
@pytest.mark.parametrize("count", [4, 14])
def test_prepared_embeddings_are_the_same(count: int, layout: torch.memory_format, dtype: torch.dtype) -> None:
    layer, level = layer_and_map()
    if not can_pack(layer.linear.weight.to(dtype)):
        pytest.skip("this processor has no such packed layers")
    prepared = copy.deepcopy(layer)
    prepared.prepare(dtype, between=True)
    centres = torch.linspace(-10, 130, count)  # boxes also leave the map
    corners = centres - 0.5 * SIZES[..., None]
    expected = layer.grid(level, corners, SIZES)
    with mock.patch.object(
        location_predictor, "prroi_pool_grid", side_effect=location_predictor.prroi_pool_grid
    ) as pool:
        features = prepared.grid(level.to(dtype).contiguous(memory_format=layout), corners, SIZES)
    assert pool.call_count == (1 if count == 4 else 0)  # the map has 9 columns
    assert features.shape == (2, count**2, 5)
    assert (features - expected).norm() <= TOLERANCE[dtype] * expected.norm()
    boxes = torch.cat([corners[..., :3].transpose(1, 2), SIZES[:, None].expand(2, 3, 2)], -1)
    expected = layer.boxes(level, boxes)
    features = prepared.boxes(level.to(dtype), boxes)
    assert (features - expected).norm() <= TOLERANCE[dtype] * expected.norm()


def test_normalised_features_keep_what_is_zero() -> None:
    features = torch.randn(2, 30, 4, generator=torch.Generator().manual_seed(1))
    features[0, :, 2] = 0
    features[1] *= 1e-12
    normalised = normalise(features)
    power = normalised.square().mean(1)
    assert (normalised[0, :, 2] == 0).all() and power[0, 2] == 0
    torch.testing.assert_close(power[1], torch.ones(4))
    assert normalise(features.bfloat16()).dtype == torch.float32


def test_normalisation_has_finite_gradients() -> None:
    features = torch.zeros(1, 5, 2, requires_grad=True)
    (normalise(features) + normalise(features.detach() + 1)).sum().backward()
    assert features.grad is not None and features.grad.isfinite().all()
    regular = torch.randn(1, 5, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(normalise, (regular,))
