"""Heat maps of centres: those of OSTrack's code (tests/goldens/rfgm), and where they are 1."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from ltr.ops.boxes import xywh_to_cxcywh
from ltr.ops.heatmaps import centre_heatmap, corner_radius

GOLDENS = np.load(Path(__file__).parents[2] / "goldens" / "rfgm" / "losses.npz")


def test_radius_and_map_are_those_of_the_golden() -> None:
    boxes = torch.from_numpy(GOLDENS["c/gt_xywh"])
    radius = corner_radius(boxes[:, 2:] * 16)
    np.testing.assert_allclose(radius.numpy(), GOLDENS["c/radius_float"], rtol=1e-5)
    np.testing.assert_array_equal(radius.int().numpy(), GOLDENS["c/radius"])
    heat = centre_heatmap(xywh_to_cxcywh(boxes), (16, 16))
    np.testing.assert_allclose(heat[:, 0].numpy(), GOLDENS["c/heatmap"], atol=1e-6)


@pytest.mark.parametrize("overlap", [0.3, 0.5, 0.7, 0.9])
def test_radius_is_the_smallest_of_the_three_roots(overlap: float) -> None:
    """As CornerNet's code computes them, all divided by two."""
    w, h = np.meshgrid(np.logspace(-3, 2, 30), np.logspace(-3, 2, 30))
    coefficients = [
        (1.0, -(h + w), w * h * (1 - overlap) / (1 + overlap)),
        (4.0, -2 * (h + w), (1 - overlap) * w * h),
        (4 * overlap, 2 * overlap * (h + w), (overlap - 1) * w * h),
    ]
    roots = [(-b + np.sqrt(b * b - 4 * a * c)) / 2 for a, b, c in coefficients]
    got = corner_radius(torch.from_numpy(np.stack([w, h], axis=-1)), overlap)
    np.testing.assert_allclose(got.numpy(), np.min(roots, axis=0), rtol=1e-9, atol=1e-12)


def test_one_cell_is_positive_and_maps_need_not_be_square() -> None:
    boxes = torch.tensor([[0.5, 0.5, 0.4, 0.5], [0.1, 0.9, 0.01, 0.01]])
    heat = centre_heatmap(boxes, (8, 12))
    assert heat.shape == (2, 1, 8, 12)
    assert (heat == 1).flatten(1).sum(1).tolist() == [1, 1]
    assert heat[0, 0, 4, 6] == 1
    assert heat[1, 0, 7, 1] == 1
    assert heat[1].sum() == 1  # no radius
    assert heat[0].sum() > 1.5  # its neighbours


def test_a_centre_beyond_the_map_is_nowhere() -> None:
    heat = centre_heatmap(torch.tensor([[1.2, 0.5, 0.1, 0.1]]), (8, 8))
    assert torch.isfinite(heat).all()
    assert heat.max() == 0
