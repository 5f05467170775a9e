"""The grid of proposals and its labels against the official ones (tests/goldens/dcfst) and by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from ltr.ops.proposal_grid import grid_centres, grid_labels

GOLDENS = np.load(Path(__file__).parents[2] / "goldens" / "dcfst" / "grid.npz")


@pytest.mark.parametrize("count", [19, 25, 31, 37])
def test_centres_are_the_official_ones(count: int) -> None:
    centres = grid_centres(288, count=count, dtype=torch.float64)
    first, last, step = GOLDENS[f"grid{count}_first_last_step"]
    np.testing.assert_allclose(centres[[0, -1]], [first, last], atol=1e-12)
    np.testing.assert_allclose(centres.diff(), step, atol=1e-12)
    assert centres[count // 2] == 144


def test_corners_of_a_target_s_proposals() -> None:
    box = torch.from_numpy(GOLDENS["train_labels_box"])
    corners = grid_centres(288, dtype=torch.float64)[[0, -1], None] - box[2:] / 2
    np.testing.assert_allclose(corners, GOLDENS["train_proposals_first_last"][:, :2], atol=1e-5)


def test_labels_are_the_official_ones() -> None:
    label = grid_labels(torch.from_numpy(GOLDENS["train_labels_box"]), 288)
    np.testing.assert_allclose(label, GOLDENS["train_labels"], atol=1e-12)


def test_label_and_window_of_a_centred_target() -> None:
    box = torch.tensor([115.2, 115.2, 57.6, 57.6], dtype=torch.float64)
    np.testing.assert_allclose(grid_labels(box, 288), GOLDENS["track_labels"], atol=1e-12)
    window = grid_labels(box, 288, sigma_factor=1.05).clamp(min=0.5)
    np.testing.assert_allclose(window, GOLDENS["window_sigma1.05_min0.5"], atol=1e-12)
    label = grid_labels(box.float(), 288)
    assert label.dtype == torch.float32 and label.max() == 1 and label.argmax() == 480


def test_labels_of_many_boxes_count_x_fastest() -> None:
    # On 100 pixels at the scale 5, five centres stand at 10, 30, .. 90.
    boxes = torch.tensor([[[60.0, 20.0, 20.0, 20.0]], [[0.0, 60.0, 20.0, 20.0]]])
    label = grid_labels(boxes, 100, count=5)
    assert label.shape == (2, 1, 25)
    assert label.argmax(-1).flatten().tolist() == [1 * 5 + 3, 3 * 5 + 0]
    neighbour = np.exp(-0.5 * 20**2 / (0.25 * 20) ** 2)
    assert label[0, 0, 1 * 5 + 4].item() == pytest.approx(neighbour, rel=1e-5)


@pytest.mark.parametrize(("side", "scale", "count"), [(0, 5, 31), (288, 1, 31), (288, 5, 1), (float("nan"), 5, 31)])
def test_a_grid_that_is_none_is_refused(side: float, scale: float, count: int) -> None:
    with pytest.raises(ValueError, match="needed are at least 2"):
        grid_centres(side, scale, count)
