"""Drawing into frames."""

from __future__ import annotations

import numpy as np
import pytest

from pytracking.visualization.drawing import GREEN, draw_box, draw_text


def test_box_is_drawn_on_its_edge_pixels() -> None:
    image = np.zeros((40, 50, 3), np.uint8)
    draw_box(image, [10, 5, 8, 6])
    ys, xs = np.nonzero(image.any(axis=2))
    assert (xs.min(), xs.max(), ys.min(), ys.max()) == (10, 17, 5, 10)
    assert tuple(image[5, 10]) == GREEN and not image[7, 13].any()


@pytest.mark.parametrize("box", [[-1e9, 0, 1e12, 3], [np.nan, 0, 1, 1], [0, 0, -5, -5], [45, 35, 100, 100]])
def test_boxes_of_lost_trackers_are_no_error(box: list[float]) -> None:
    draw_box(np.zeros((40, 50, 3), np.uint8), box, label="0.12")


def test_text_stays_within_the_image() -> None:
    image = np.zeros((60, 200, 3), np.uint8)
    draw_text(image, "lost", (500, -30))
    ys, xs = np.nonzero(image.any(axis=2))
    assert len(xs) > 20 and xs.max() < 199 and ys.min() >= 0
