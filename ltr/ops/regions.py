"""Sizes of search regions. Torch-free, so that parameter files can name their shapes."""

from __future__ import annotations

from typing import Literal

import numpy as np

RegionShape = Literal["proportional", "additive", "square"]


def region_size(target_wh: np.ndarray, padding: float, shape: RegionShape) -> np.ndarray:
    """Sides of the search region of a target; all shapes agree for a square target.

    Args:
        target_wh: ``(2,)`` width and height of the target.
        padding: the region of a square target has ``1 + padding`` times its sides.
        shape: ``proportional``: ``1 + padding`` times each side (DCFNet, EDCF), which leaves a thin target little room
            across; ``additive``: each side plus ``padding`` times the mean side ``sqrt(w h)``, the same room in all
            directions; ``square``: ``1 + padding`` times the mean side, both.

    Returns:
        ``(2,)`` width and height of the region.
    """
    if shape == "proportional":
        return target_wh * (1 + padding)
    mean_side = np.sqrt(target_wh.prod())
    if shape == "additive":
        return target_wh + padding * mean_side
    return np.full(2, (1 + padding) * mean_side)
