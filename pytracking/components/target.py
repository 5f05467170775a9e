"""Where a target is, and the way between the image and a crop of it (ATOM, DiMP, DCFST)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Pair = tuple[float, float]

_WIDEST = 1e5  # pixels; a refined box beyond this has run away


@dataclass
class Target:
    """Where the target is, in image pixels.

    Attributes:
        pos_yx: its centre; the centre of pixel 0 is 0.
        sz_hw: its size.
        scale: image pixels per crop pixel, by which the search region is chosen.
        refined_pos_yx: the centre of the last box that was refined.
    """

    pos_yx: Pair
    sz_hw: Pair
    scale: float
    refined_pos_yx: Pair | None = None

    @classmethod
    def from_box(cls, box_xywh: list[float], search_area_scale: float, side: int) -> Target:
        """A target that fills a box, searched for in a region of ``search_area_scale`` times its size."""
        x, y, w, h = box_xywh
        return cls((y + (h - 1) / 2, x + (w - 1) / 2), (h, w), math.sqrt(w * h) * search_area_scale / side)

    @property
    def box_xywh(self) -> list[float]:
        """``[x, y, w, h]``."""
        (y, x), (h, w) = self.pos_yx, self.sz_hw
        return [x - (w - 1) / 2, y - (h - 1) / 2, w, h]

    def offset_from(self, pos_yx: Pair) -> Pair:
        """From a place to the target, ``(y, x)``."""
        return self.pos_yx[0] - pos_yx[0], self.pos_yx[1] - pos_yx[1]

    def box_in_crop(self, offset_yx: tuple[Any, Any], scale: float, side: int) -> tuple[Any, Any, Any, Any]:
        """The target's box in a crop, as if it stood elsewhere.

        Args:
            offset_yx: from the crop's centre to the target's, image pixels; floats or tensors.
            scale: image pixels per crop pixel.
            side: of the crop in pixels.

        Returns:
            x, y, w, h in crop pixels; x and y of the offset's type.
        """
        h, w = self.sz_hw[0] / scale, self.sz_hw[1] / scale
        return offset_yx[1] / scale + (side - w) / 2, offset_yx[0] / scale + (side - h) / 2, w, h

    def bounds_yx(self, inside_ratio: float, image_sz_hw: tuple[int, int]) -> tuple[Pair, Pair]:
        """Lowest and highest y, lowest and highest x that leave a share of the target in the image."""
        (h, w), (height, width) = self.sz_hw, image_sz_hw
        reach = inside_ratio - 0.5
        return (reach * h, height - reach * h), (reach * w, width - reach * w)


def place_of_box(
    box_xywh: np.ndarray | Sequence[float], pos_yx: Pair, scale: float, side: int
) -> tuple[Pair, Pair] | None:
    """A box of a crop in the image.

    The way into the crop is by ``(size - 1) / 2``, see :meth:`Target.box_in_crop`, and the way back by ``size / 2``:
    the official code moves boxes by half a pixel of the crop in every frame, and its nets were judged with that.

    Args:
        box_xywh: four numbers in crop pixels.
        pos_yx: centre of the crop in image pixels.
        scale: image pixels per crop pixel.
        side: of the crop in pixels.

    Returns:
        centre ``(y, x)`` and size ``(h, w)`` in image pixels, or None for a box that ran away.
    """
    x, y, w, h = map(float, box_xywh)
    if not all(abs(value) * scale <= _WIDEST for value in (x, y, w, h)):  # nor what is not a number
        return None
    dy, dx = ((middle - (side - 1) / 2) * scale for middle in (y + h / 2, x + w / 2))
    return (pos_yx[0] + dy, pos_yx[1] + dx), (h * scale, w * scale)
