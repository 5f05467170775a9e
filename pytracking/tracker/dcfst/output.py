"""Sizes that a target may have, and boxes as they are handed out."""

from __future__ import annotations

import math
from typing import Literal

from pytracking.components.target import Pair, Target


def bounded_size(size_hw: Pair, first_sz_hw: Pair, image_sz_hw: tuple[int, int], minimum_side: float) -> Pair:
    """A size, made larger or smaller as a whole if it must be.

    The bounds are factors of the first frame's size: there the target's smaller side would be ``minimum_side``, or one
    of its sides the image's. Where these contradict each other, the upper one holds.

    Args:
        size_hw: in image pixels, positive.
        first_sz_hw: of the first frame's target.
        image_sz_hw: of the image.
        minimum_side: in image pixels.
    """
    lowest = max(minimum_side / side for side in first_sz_hw)
    highest = min(whole / side for whole, side in zip(image_sz_hw, first_sz_hw, strict=True))
    factor = math.sqrt(size_hw[0] * size_hw[1] / (first_sz_hw[0] * first_sz_hw[1]))
    change = min(max(factor, lowest), highest) / factor
    return size_hw[0] * change, size_hw[1] * change


def output_box(
    target: Target, image_sz_hw: tuple[int, int], form: Literal["inclusive", "clipped"], whole: bool
) -> list[float]:
    """A target's box ``[x, y, w, h]``.

    Args:
        target: the target.
        image_sz_hw: of the image.
        form: ``inclusive`` has its corner at ``centre - (size - 1) / 2``, as boxes are read; ``clipped`` at
            ``centre - size / 2``, without what lies outside the image. At least a pixel is left.
        whole: without the fractions.
    """
    x, y, w, h = target.box_xywh
    if form == "clipped":
        (x, w), (y, h) = (
            _clipped(middle - side / 2, side, length)
            for middle, side, length in zip(target.pos_yx[::-1], (w, h), image_sz_hw[::-1], strict=True)
        )
    if whole:
        x, y, w, h = (math.trunc(x), math.trunc(y), max(math.trunc(w), 1), max(math.trunc(h), 1))
    return [float(value) for value in (x, y, w, h)]


def _clipped(start: float, side: float, length: int) -> tuple[float, float]:
    first = min(max(start, 0.0), length - 1.0)
    last = max(min(start + side, float(length)), first + 1.0)
    return first, last - first
