"""Regression and classification labels over score maps."""

from __future__ import annotations

import torch
from torch import Tensor


def circular_gaussian_label(size: tuple[int, int], sigma: float) -> Tensor:
    """Gaussian label of a correlation filter, its peak at index (0, 0) of a circular map.

    Offsets run from ``-((n - 1) // 2)`` to ``n // 2`` and are rolled so that zero comes first, as DCFNet builds
    its label (for an odd side the two tails therefore differ by one cell).

    Args:
        size: ``(h, w)`` of the map in cells.
        sigma: standard deviation in cells; DCFNet and EDCF use ``0.1 * side / (1 + padding)``.

    Returns:
        ``(h, w)`` float64 in (0, 1].
    """
    axes = []
    for side in size:
        offsets = torch.arange(side, dtype=torch.float64) - (side - 1) // 2
        axes.append(torch.roll(offsets, -((side - 1) // 2)) ** 2)
    return torch.exp(-(axes[0][:, None] + axes[1][None, :]) / (2.0 * sigma**2))



def shifted_gaussian_label(size: tuple[int, int], sigma: float, shift_yx: Tensor) -> Tensor:
    """Circular Gaussian labels whose peaks stand at given displacements.

    Args:
        size: ``(h, w)`` of the map in cells.
        sigma: standard deviation in cells.
        shift_yx: ``(B, 2)`` displacements in cells, not necessarily whole.

    Returns:
        ``(B, 1, h, w)`` of the displacements' dtype; zero displacement stands at index (0, 0).
    """
    axes = []
    for axis, side in enumerate(size):
        cells = torch.arange(side, dtype=shift_yx.dtype, device=shift_yx.device)
        distance = torch.remainder(cells - shift_yx[:, axis, None] + side / 2, side) - side / 2
        axes.append(torch.exp(-distance.square() / (2 * sigma**2)))
    return (axes[0][:, :, None] * axes[1][:, None, :]).unsqueeze(1)


def shifted_siamese_label(size: int, radius: float, shift_yx: Tensor) -> Tensor:
    """Siamese labels for displaced targets: +1 within ``radius`` cells of the displacement, -1 elsewhere.

    The cell nearest to the displacement is positive even where ``radius`` is small; a target outside the map has no
    positive cell.

    Args:
        size: side of the score map in cells.
        radius: in cells; SiamFC has 2 (16 pixels).
        shift_yx: ``(B, 2)`` displacements from the map's centre in cells.

    Returns:
        ``(B, 1, size, size)`` of +1 and -1.
    """
    cells = torch.arange(size, dtype=shift_yx.dtype, device=shift_yx.device) - (size - 1) / 2
    y = cells[None, :] - shift_yx[:, 0, None]
    x = cells[None, :] - shift_yx[:, 1, None]
    distance2 = y.square()[:, :, None] + x.square()[:, None, :]
    return torch.where(distance2 <= max(radius, 0.71) ** 2, 1.0, -1.0).to(shift_yx.dtype).unsqueeze(1)


def target_label(
    boxes_xywh: Tensor,
    sigma_factor: float,
    kernel_size: tuple[int, int],
    feature_size: tuple[int, int],
    image_size: tuple[int, int],
    end_pad: bool = True,
) -> Tensor:
    """Gaussian labels of the scores that a target filter gives (DiMP Section 3.6).

    An even filter makes one score more than there are feature cells, and its score ``i`` stands for the edge between
    cells ``i - 1`` and ``i``; so the peak moves by half a cell. The Gaussian is not normalised: it is 1 at its centre.

    Args:
        boxes_xywh: ``(..., 4)`` in pixels of the crop; the peak stands at a box's centre.
        sigma_factor: standard deviation as a share of the features' side, ``sqrt(width * height)`` where they differ.
        kernel_size: ``(h, w)`` of the filter in cells.
        feature_size: ``(h, w)`` of the features in cells.
        image_size: ``(h, w)`` of the crop in pixels.
        end_pad: False leaves out the last score of even filters.

    Returns:
        ``(..., h, w)`` of the boxes' dtype in [0, 1].
    """
    sigma = sigma_factor * (feature_size[0] * feature_size[1]) ** 0.5
    centre_xy = boxes_xywh[..., :2] + 0.5 * boxes_xywh[..., 2:]
    axes = []
    for axis in (0, 1):  # rows, then columns
        cells, even = feature_size[axis], (kernel_size[axis] + 1) % 2
        count = cells + (even if end_pad else 0)
        places = torch.arange(count, dtype=boxes_xywh.dtype, device=boxes_xywh.device) - (cells - 1) / 2
        side = image_size[axis]
        peak = cells * (centre_xy[..., 1 - axis] - side / 2) / side + 0.5 * even
        axes.append(torch.exp(-(places - peak[..., None]).square() / (2 * sigma**2)))
    return axes[0][..., :, None] * axes[1][..., None, :]
