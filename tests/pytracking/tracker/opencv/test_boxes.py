from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ltr.admin.errors import UserError
from pytracking.tracker.opencv.boxes import fit_box

SIZE = (120, 160)


@pytest.mark.parametrize("margin", [None, 0, 10])
def test_ordinary_boxes_are_only_rounded(margin: int | None) -> None:
    fitted = fit_box([10.4, 20.6, 30.2, 40.5001], SIZE, 8, margin)
    assert fitted.rect == (10, 21, 30, 41)
    assert fitted.restore((11, 22, 31, 42)) == [11.0, 22.0, 31.0, 42.0]


def test_boxes_across_the_border_are_left_to_those_who_take_them() -> None:
    assert fit_box([-10, -5, 400, 300], SIZE, 2, None).rect == (-10, -5, 400, 300)
    assert fit_box([-10, -5, 400, 300], SIZE, 2, 0).rect == (0, 0, 160, 120)
    assert fit_box([-10, -5, 400, 300], SIZE, 8, 10).rect == (0, 0, 150, 110)


def test_small_boxes_grow_around_their_centre() -> None:
    assert fit_box([50, 60, 1, 30], SIZE, 8, None).rect == (47, 60, 8, 30)
    assert fit_box([159, 119, 1, 1], SIZE, 8, None).rect == (152, 112, 8, 8)
    assert fit_box([0, 0, 0.2, 0.2], SIZE, 8, 10).rect == (0, 0, 8, 8)


coordinate = st.floats(-300, 300, allow_nan=False)
length = st.floats(0.01, 500)


@settings(max_examples=50, deadline=None)
@given(coordinate, coordinate, length, length, st.integers(1, 20), st.sampled_from([None, 0, 10]))
def test_every_box_becomes_one_that_fits_and_back(
    x: float, y: float, w: float, h: float, min_side: int, margin: int | None
) -> None:
    box = [x, y, w, h]
    fitted = fit_box(box, SIZE, min_side, margin)
    first_x, first_y, width, height = fitted.rect
    assert width >= min_side and height >= min_side
    if margin is not None:
        assert first_x >= 0 and first_y >= 0
        assert first_x + width <= 160 - margin and first_y + height <= 120 - margin
    tolerance = 0.51 if fitted.shift == (0.0, 0.0) else 1e-6
    assert fitted.restore(fitted.rect) == pytest.approx(box, abs=2 * tolerance)


def test_images_that_are_too_small() -> None:
    with pytest.raises(UserError, match="10 x 12 pixels is too small: 18 x 18"):
        fit_box([1, 1, 3, 3], (12, 10), 8, 10)
