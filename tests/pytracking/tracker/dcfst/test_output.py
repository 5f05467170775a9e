"""Bounds of a target's size, and the forms in which boxes are handed out, by hand."""

from __future__ import annotations

import pytest

from pytracking.components.target import Target
from pytracking.tracker.dcfst.output import bounded_size, output_box

IMAGE = (100, 200)  # height, width


def test_sizes_within_their_bounds_stay() -> None:
    assert bounded_size((30.0, 40.0), (20.0, 20.0), IMAGE, 10) == (30.0, 40.0)


def test_small_and_large_sizes_keep_their_form() -> None:
    # The first target's smaller side would be 10: half its size.
    assert bounded_size((5.0, 10.0), (20.0, 40.0), IMAGE, 10) == pytest.approx((10.0, 20.0))
    # Its height would be the image's: five times its size.
    assert bounded_size((300.0, 150.0), (20.0, 40.0), IMAGE, 10) == pytest.approx((200.0, 100.0))


def test_a_large_target_may_be_larger_than_a_small_image() -> None:
    assert bounded_size((4.0, 4.0), (5.0, 400.0), IMAGE, 10)[0] > 0
    assert bounded_size((5.0, 400.0), (5.0, 400.0), IMAGE, 10) == pytest.approx((2.5, 200.0))


def test_forms() -> None:
    target = Target((50.0, 30.0), (20.5, 11.5), 1.0)
    assert output_box(target, IMAGE, "inclusive", False) == [24.75, 40.25, 11.5, 20.5]
    assert output_box(target, IMAGE, "clipped", False) == [24.25, 39.75, 11.5, 20.5]
    assert output_box(target, IMAGE, "clipped", True) == [24.0, 39.0, 11.0, 20.0]
    assert output_box(Target((2.0, 1.0), (9.0, 9.0), 1.0), IMAGE, "inclusive", True) == [-3.0, -2.0, 9.0, 9.0]


def test_clipped_boxes_lie_in_the_image() -> None:
    assert output_box(Target((2.0, 195.0), (10.0, 20.0), 1.0), IMAGE, "clipped", False) == [185.0, 0.0, 15.0, 7.0]
    for y, x in ((-500.0, 50.0), (500.0, 50.0), (50.0, -500.0), (50.0, 500.0)):
        left, top, w, h = output_box(Target((y, x), (10.0, 20.0), 1.0), IMAGE, "clipped", False)
        assert w >= 1 and h >= 1 and left >= 0 and top >= 0 and left + w <= 200 and top + h <= 100


def test_whole_boxes_keep_a_pixel() -> None:
    assert output_box(Target((5.0, 5.0), (0.5, 0.5), 1.0), IMAGE, "inclusive", True)[2:] == [1.0, 1.0]
