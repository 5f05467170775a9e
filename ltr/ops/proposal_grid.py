"""The proposals of DCFST: boxes of the target's size on a grid over the search region, and their labels.

"Learning Feature Embeddings for Discriminant Model based Tracking" (Zheng et al., ECCV 2020), Section 3.1. Proposals
are counted row by row, x fastest: number ``i`` stands in column ``i % count`` of row ``i // count``.
"""

from __future__ import annotations

import torch
from torch import Tensor

GRID_SIZE = 31  # proposals along a side, 961 in all
SEARCH_AREA_SCALE = 5.0  # side of the crop in units of sqrt(w h) of the target


def grid_centres(
    side: float,
    search_area_scale: float = SEARCH_AREA_SCALE,
    count: int = GRID_SIZE,
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> Tensor:
    """Where the proposals' centres lie along an axis: evenly, half a target's side away from the crop's border.

    Args:
        side: of the crop in pixels.
        search_area_scale: side of the crop in units of ``sqrt(w * h)`` of the target, more than 1.
        count: proposals along the axis, at least 2.
        dtype, device: of the result.

    Returns:
        ``(count,)`` in pixels of the crop, the same for x and y; with an odd count the middle one is ``side / 2``.

    Raises:
        ValueError: a side, scale or count that makes no grid.
    """
    if not (side > 0 and search_area_scale > 1 and count >= 2):
        raise ValueError(
            f"a grid of {count} proposals along {side} pixels at the search area scale {search_area_scale}: "
            "needed are at least 2, more than 0 and more than 1"
        )
    first = side / (2 * search_area_scale)
    places = torch.arange(count, dtype=torch.float64, device="cpu") * ((side - 2 * first) / (count - 1)) + first
    return places.to(device=device, dtype=dtype)


def grid_labels(
    boxes_xywh: Tensor,
    side: float,
    search_area_scale: float = SEARCH_AREA_SCALE,
    count: int = GRID_SIZE,
    sigma_factor: float = 0.25,
) -> Tensor:
    """Gaussian labels of the proposals, by the distance of their centres from a target's.

    Args:
        boxes_xywh: ``(..., 4)`` targets in pixels of the crop, with positive size.
        side: of the crop in pixels.
        search_area_scale, count: see :func:`grid_centres`.
        sigma_factor: standard deviation in units of ``sqrt(w * h)`` of the target.

    Returns:
        ``(..., count ** 2)`` of the boxes' dtype, in [0, 1]; 1 where a proposal's centre is the target's.
    """
    centres = grid_centres(side, search_area_scale, count, dtype=boxes_xywh.dtype, device=boxes_xywh.device)
    middle_xy = boxes_xywh[..., :2] + 0.5 * boxes_xywh[..., 2:]
    variance = sigma_factor**2 * boxes_xywh[..., 2:].prod(-1)
    along = torch.exp(-0.5 * (centres - middle_xy[..., None]).square() / variance[..., None, None])  # (..., 2, count)
    return (along[..., 1, :, None] * along[..., 0, None, :]).flatten(-2)
