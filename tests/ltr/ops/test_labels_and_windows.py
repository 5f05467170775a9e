"""Labels and windows against the goldens and by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from ltr.ops.labels import circular_gaussian_label, shifted_gaussian_label, shifted_siamese_label, target_label
from ltr.ops.windows import hann2d

GOLDENS = np.load(Path(__file__).parents[2] / "goldens" / "edcf" / "correlation_filter.npz")
DIMP_GOLDENS = np.load(Path(__file__).parents[2] / "goldens" / "dimp" / "losses.npz")


@pytest.mark.parametrize("side", [125, 25])
def test_label_is_dcfnets(side: int) -> None:
    label = circular_gaussian_label((side, side), side / 3 * 0.1)
    np.testing.assert_allclose(label, GOLDENS[f"label/{side}"], atol=1e-14)


def test_window_is_numpys_hanning() -> None:
    window = hann2d((125, 125))
    np.testing.assert_allclose(window[62], GOLDENS["window/125_1d"], atol=1e-14)
    np.testing.assert_allclose(hann2d((6, 9)), np.outer(np.hanning(6), np.hanning(9)), atol=1e-14)


def test_shifted_gaussian_has_its_peak_at_the_shift_and_wraps() -> None:
    label = shifted_gaussian_label((25, 25), 1.0, torch.tensor([[0.0, 0.0], [3.0, -4.0]]))
    assert divmod(int(label[0, 0].argmax()), 25) == (0, 0)
    assert divmod(int(label[1, 0].argmax()), 25) == (3, 21)
    reference = circular_gaussian_label((25, 25), 1.0).float()
    torch.testing.assert_close(label[0, 0], reference, atol=1e-6, rtol=0)


def test_siamese_label_by_hand() -> None:
    label = shifted_siamese_label(5, 1.0, torch.tensor([[0.0, 1.0]]))[0, 0]
    expected = -torch.ones(5, 5)
    for row, column in [(2, 3), (1, 3), (3, 3), (2, 2), (2, 4)]:
        expected[row, column] = 1
    assert torch.equal(label, expected)


def test_siamese_label_of_a_target_outside_has_no_positive_cell() -> None:
    assert (shifted_siamese_label(5, 1.0, torch.tensor([[9.0, 0.0]])) == -1).all()


@pytest.mark.parametrize(
    ("name", "sigma_factor", "kernel_hw", "feature_hw", "image_hw", "end_pad"),
    [
        ("label_k4", 0.05, (4, 4), (18, 18), (288, 288), True),
        ("label_k4_noendpad", 0.05, (4, 4), (18, 18), (288, 288), False),
        ("label_k1", 0.05, (1, 1), (18, 18), (288, 288), True),
        ("label_k4_rect", 0.1, (5, 4), (18, 22), (288, 352), True),
    ],
)
def test_target_labels_are_the_official_ones(
    name: str,
    sigma_factor: float,
    kernel_hw: tuple[int, int],
    feature_hw: tuple[int, int],
    image_hw: tuple[int, int],
    end_pad: bool,
) -> None:
    boxes = torch.from_numpy(DIMP_GOLDENS["target_bb_xywh"])
    label = target_label(boxes, sigma_factor, kernel_hw, feature_hw, image_hw, end_pad)
    np.testing.assert_allclose(label, DIMP_GOLDENS[name], rtol=1e-4, atol=1e-6)


def test_target_labels_of_any_leading_shape() -> None:
    boxes = torch.tensor([[[10.0, 20.0, 12.0, 8.0]], [[0.0, 0.0, 32.0, 32.0]]])
    label = target_label(boxes, 0.1, (4, 4), (3, 4), (48, 64))
    assert label.shape == (2, 1, 4, 5)
    assert label[1, 0].argmax() == 1 * 5 + 1  # centre (16, 16): the edge between the first two cells of 16 pixels
    assert label.max() == 1
