"""Boxes between this framework (floats, of any size, also across the border) and OpenCV (whole pixels)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ltr.admin.errors import UserError


@dataclass(frozen=True)
class FittedBox:
    """A box that an OpenCV tracker takes in place of one that it does not, and the way back.

    Attributes:
        rect: x, y, w, h in whole pixels, as handed to OpenCV.
        shift: from the centre of `rect` to that of the box it stands for, in pixels; zero for most boxes.
        stretch: width and height of that box / those of `rect`; one for most boxes.
    """

    rect: tuple[int, int, int, int]
    shift: tuple[float, float] = (0.0, 0.0)
    stretch: tuple[float, float] = (1.0, 1.0)

    def restore(self, rect: Sequence[float]) -> list[float]:
        """The box `[x, y, w, h]` that a rectangle of OpenCV stands for."""
        if self.shift == (0.0, 0.0) and self.stretch == (1.0, 1.0):
            return [float(value) for value in rect]
        x, y, w, h = rect
        width, height = w * self.stretch[0], h * self.stretch[1]
        centre_x, centre_y = x + w / 2 + self.shift[0], y + h / 2 + self.shift[1]
        return [centre_x - width / 2, centre_y - height / 2, width, height]


def fit_box(box: Sequence[float], size: tuple[int, int], min_side: int, margin: int | None) -> FittedBox:
    """Rounds a box to whole pixels and, where the algorithm needs it, grows it or brings it inside the image.

    A box that the algorithm takes is only rounded: OpenCV then does what it would do without us.

    Args:
        box: `[x, y, w, h]` that overlaps the image.
        size: height and width of the image.
        min_side: smallest side in pixels.
        margin: smallest distance from the right and lower border in pixels; None where boxes may cross it.

    Raises:
        UserError: the image is too small for any box.
    """
    least = min_side + (margin or 0)
    if min(size) < least:
        raise UserError(f"the image of {size[1]} x {size[0]} pixels is too small: {least} x {least} are needed")
    x, y, w, h = box
    first_x, width = _fit(x, w, min_side, size[1], margin)
    first_y, height = _fit(y, h, min_side, size[0], margin)
    rect = (first_x, first_y, width, height)
    if rect == (round(x), round(y), round(w), round(h)):
        return FittedBox(rect)
    shift = (x + w / 2 - first_x - width / 2, y + h / 2 - first_y - height / 2)
    return FittedBox(rect, shift, (w / width, h / height))


def _fit(start: float, length: float, min_side: int, extent: int, margin: int | None) -> tuple[int, int]:
    """First pixel and length along one axis: cut at the borders if there is a margin, then grown if too short."""
    first, last = round(start), round(start) + round(length)
    limit = extent - (margin or 0)
    if margin is not None:
        first, last = max(first, 0), min(last, limit)
    missing = min_side - (last - first)
    if missing > 0:
        first = min(max(first - missing // 2, 0), limit - min_side)
        last = first + min_side
    return first, last - first
