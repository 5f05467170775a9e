"""Drawing on frames with OpenCV."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

GREEN = (0, 220, 60)
RED = (235, 40, 40)

_BLACK = (0, 0, 0)
_REACH = 30_000  # OpenCV draws in 16-bit coordinates; a lost tracker's box may lie anywhere


def draw_box(
    image: np.ndarray, box: Sequence[float], color: tuple[int, int, int] = GREEN, label: str = ""
) -> None:
    """Draw a box and a short text at its upper edge, in place.

    Args:
        image: (H, W, 3) uint8 RGB, changed.
        box: `[x, y, w, h]` in pixels, top-left corner; may lie outside the image. One that is not finite
            is not drawn.
        color: RGB.
        label: Text, empty for none.
    """
    if not np.isfinite(box).all():
        return
    x, y, width, height = (round(float(np.clip(value, -_REACH, _REACH))) for value in box)
    line = max(1, round(min(image.shape[:2]) / 200))
    cv2.rectangle(image, (x, y), (x + width - 1, y + height - 1), color, line)
    if label:
        draw_text(image, label, (x, y - 3 * line), color)


def draw_text(
    image: np.ndarray, text: str, origin: tuple[int, int], color: tuple[int, int, int] = GREEN
) -> None:
    """Draw text with a dark rim, readable on any ground, in place; it is moved to stay within the image.

    Args:
        image: (H, W, 3) uint8 RGB, changed.
        text: One line; OpenCV's font knows ASCII only.
        origin: (x, y) of its lower left corner.
        color: RGB.
    """
    scale = max(0.4, min(image.shape[:2]) / 600)
    line = max(1, round(scale * 1.5))
    (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, line)
    x = int(np.clip(origin[0], 2, max(2, image.shape[1] - width - 2)))
    y = int(np.clip(origin[1], height + 2, max(height + 2, image.shape[0] - 4)))
    # The rim by shifting, not by a thicker font: that has wider letters in OpenCV 5.
    for dx, dy, shade in ((-1, 0, _BLACK), (1, 0, _BLACK), (0, -1, _BLACK), (0, 1, _BLACK), (0, 0, color)):
        cv2.putText(image, text, (x + dx, y + dy), cv2.FONT_HERSHEY_SIMPLEX, scale, shade, line, cv2.LINE_AA)
