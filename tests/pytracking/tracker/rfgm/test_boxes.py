"""Boxes of the head to boxes in the image (goldens map/*)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytracking.tracker.rfgm.boxes import box_in_image, clipped_box, scaled_size, size_factors, slowed_size

GOLDENS = np.load(Path(__file__).parents[3] / "goldens" / "rfgm" / "tracking.npz")


def test_the_official_way_back() -> None:
    side = 256 / GOLDENS["crop/1_resize_factor"]  # the region that was cut around this box
    box = box_in_image(GOLDENS["map/pred_norm"], GOLDENS["map/state"], side)
    np.testing.assert_allclose(box, GOLDENS["map/box"], atol=1e-12)
    np.testing.assert_allclose(clipped_box(box, (120, 160), 10), GOLDENS["map/clip_margin10_H120_W160"], atol=1e-12)


def test_a_box_that_leaves_keeps_a_margin() -> None:
    np.testing.assert_allclose(clipped_box([-30, 100, 12, 90], (120, 160), 10), GOLDENS["map/clip_out"])


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ([20, 30, 40, 50], [20, 30, 40, 50]),
        ([20, 30, 2, 3], [20, 30, 10, 10]),
        ([500, -70, 40, 50], [150, 0, 10, 10]),
        ([-500, -500, 2000, 2000], [0, 0, 160, 120]),
    ],
)
def test_clipping(box: list[float], expected: list[float]) -> None:
    assert clipped_box(box, (120, 160), 10) == expected


def test_sizes_change_by_a_share() -> None:
    last, new = [0, 0, 10, 40], [100, 200, 40, 10]
    assert slowed_size(new, last, 1) == new
    assert slowed_size(new, last, 0) == [115, 185, 10, 40]
    np.testing.assert_allclose(slowed_size(new, last, 0.5), [110, 195, 20, 20])


def test_factors_make_sizes_true_within_a_limit() -> None:
    assert size_factors([0, 0, 20, 30], [50, 60, 30, 20]) == pytest.approx((1.5, 2 / 3))
    assert size_factors([0, 0, 20, 90], [50, 60, 90, 20]) == (2.0, 0.5)
    assert size_factors([0, 0, 0, 30], [0, 0, 30, 30]) == (2.0, 1.0)
    assert scaled_size([100, 200, 20, 30], (1.5, 0.5)) == [95, 207.5, 30, 15]


PLACE, LENGTH, SIDE = st.floats(-1e4, 1e4), st.floats(1e-3, 1e4), st.integers(1, 300)


@given(st.tuples(PLACE, PLACE, LENGTH, LENGTH), SIDE, SIDE)
def test_a_clipped_box_is_never_lost(box: tuple[float, ...], height: int, width: int) -> None:
    x, y, w, h = clipped_box(box, (height, width), 10)
    assert w >= 10 - 1e-9 and h >= 10 - 1e-9
    assert 0 <= x <= max(width - 10, 0) and 0 <= y <= max(height - 10, 0)
    assert x + w <= max(width, 10) + 1e-9 and y + h <= max(height, 10) + 1e-9
