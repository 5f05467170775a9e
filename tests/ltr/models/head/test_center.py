"""The centre head against the numbers of OSTrack's code, and its box against a search by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ltr.models.head.center import CenterHead, CenterMaps, decode_center

GOLDENS = Path(__file__).parents[3] / "goldens" / "rfgm" / "net.npz"


@torch.no_grad()
def test_maps_and_boxes_of_the_published_code(
    fill_by_recipe: Callable[..., nn.Module], normal_by_recipe: Callable[..., Tensor]
) -> None:
    golden = np.load(GOLDENS)
    head = fill_by_recipe(CenterHead(768), plain=True, prefix="box_head.").eval()
    maps = head(normal_by_recipe("head.map", (1, 768, 16, 16)))
    for name in ("score", "size", "offset"):
        values = getattr(maps, name)
        torch.testing.assert_close(values, torch.from_numpy(golden[f"b/{name}"]), atol=5e-6, rtol=0)
    window = torch.from_numpy(golden["b/hann16"])[0, 0]
    for given, ending in ((None, ""), (window, "_hann")):
        box, score = decode_center(maps, given)
        np.testing.assert_allclose(box.numpy(), golden[f"b/box{ending}"], atol=1e-6)
        assert score == maps.score.flatten()[golden[f"b/argmax{ending}"][0]]


def test_the_box_of_a_map_that_is_not_square() -> None:
    score, size, offset = torch.zeros(2, 1, 3, 5), torch.rand(2, 2, 3, 5), torch.rand(2, 2, 3, 5)
    score[0, 0, 2, 1] = score[1, 0, 0, 4] = 0.7
    box, found = decode_center(CenterMaps(score, size, offset))
    for sample, (row, column) in enumerate([(2, 1), (0, 4)]):
        dx, dy = offset[sample, :, row, column]
        width, height = size[sample, :, row, column]
        torch.testing.assert_close(box[sample], torch.stack([(column + dx) / 5, (row + dy) / 3, width, height]))
    assert found.tolist() == [0.699999988079071] * 2


def test_gradients_reach_sizes_and_offsets_at_the_best_cell_only() -> None:
    size, offset = torch.rand(1, 2, 3, 3, requires_grad=True), torch.rand(1, 2, 3, 3, requires_grad=True)
    score = torch.zeros(1, 1, 3, 3)
    score[0, 0, 1, 2] = 1
    decode_center(CenterMaps(score, size, offset))[0].sum().backward()
    for values, expected in ((size, 1.0), (offset, 1 / 3)):
        assert values.grad is not None
        torch.testing.assert_close(values.grad[0, :, 1, 2], torch.full((2,), expected))
        assert values.grad.count_nonzero() == 2


def test_scores_stay_where_the_focal_loss_is_finite() -> None:
    head = CenterHead(4, 8).eval()
    for value in (-1e4, 1e4):
        with torch.no_grad():
            for branch in ("ctr", "size"):
                head.get_parameter(f"conv5_{branch}.bias").fill_(value)
            maps = head(torch.zeros(1, 4, 2, 2))
        limit = 1e-4 if value < 0 else 1 - 1e-4
        assert torch.allclose(maps.score, torch.tensor(limit)) and torch.allclose(maps.size, torch.tensor(limit))
