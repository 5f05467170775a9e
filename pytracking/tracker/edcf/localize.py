"""From response maps to a displacement and a scale (EDCF Eq. 16). Pure functions on tensors."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def resample_response(score_map: Tensor, stride: float, cell: float, size: int) -> Tensor:
    """Resample a semantic score map onto the filter's cells, displacement by displacement.

    One cell of the semantic map is ``stride`` pixels of the crop and one cell of the filter's map ``cell`` pixels, so
    stretching one map over the other would inflate displacements. Bilinear; outside the map its minimum is taken.

    Args:
        score_map: ``(S, 1, h, h)`` with zero displacement in the centre.
        stride: pixels of the crop per cell of ``score_map``.
        cell: pixels of the crop per cell of the result.
        size: side of the result in cells; zero displacement stands at index ``size // 2``.

    Returns:
        ``(S, 1, size, size)``.
    """
    half = (score_map.shape[-1] - 1) / 2
    offsets = (torch.arange(size, device=score_map.device, dtype=score_map.dtype) - size // 2) * (cell / stride)
    grid_1d = offsets / half
    grid = torch.stack(torch.meshgrid(grid_1d, grid_1d, indexing="xy"), dim=-1)
    floor = score_map.amin(dim=(-2, -1), keepdim=True)
    sampled = F.grid_sample(
        score_map - floor, grid.expand(score_map.shape[0], -1, -1, -1), align_corners=True, padding_mode="zeros"
    )
    return sampled + floor


def resample_features(features: Tensor, factors: Tensor, shift_yx: tuple[float, float], size: int) -> Tensor:
    """Windows of a feature map at several scales, as if the image had been cropped anew and encoded.

    Args:
        features: ``(1, C, H, W)`` with odd sides, centred on the search region's centre.
        factors: ``(S,)`` window scales; 1 keeps cells as they are.
        shift_yx: displacement of the window's centre in cells of ``features``.
        size: side of the windows in cells (odd).

    Returns:
        ``(S, C, size, size)``; cells outside the map repeat its border.
    """
    height, width = features.shape[-2:]
    offsets = torch.arange(size, device=features.device, dtype=features.dtype) - size // 2
    y = (offsets * factors[:, None] + shift_yx[0]) / ((height - 1) / 2)
    x = (offsets * factors[:, None] + shift_yx[1]) / ((width - 1) / 2)
    count = factors.shape[0]
    grid = torch.stack(
        [x[:, None, :].expand(count, size, size), y[:, :, None].expand(count, size, size)], dim=-1
    )
    return F.grid_sample(
        features.expand(count, -1, -1, -1), grid, align_corners=True, padding_mode="border"
    )


def find_peak(score_maps: Tensor, subcell: bool) -> tuple[int, float, float, float]:
    """Best scale and displacement over all maps.

    Args:
        score_maps: ``(S, 1, size, size)`` with zero displacement at index ``size // 2``.
        subcell: refine the peak by a parabola through its neighbours on each axis.

    Returns:
        ``(scale index, dy, dx, score)``, displacements in cells.
    """
    size = score_maps.shape[-1]
    scale, cell = divmod(int(score_maps.argmax()), size * size)
    row, column = divmod(cell, size)
    plane = score_maps[scale, 0]
    dy, dx = float(row - size // 2), float(column - size // 2)
    if subcell and 0 < row < size - 1:
        dy += _parabola(plane[row - 1 : row + 2, column])
    if subcell and 0 < column < size - 1:
        dx += _parabola(plane[row, column - 1 : column + 2])
    return scale, dy, dx, float(plane[row, column])


def _parabola(three: Tensor) -> float:
    before, peak, after = three.tolist()
    curvature = before - 2 * peak + after
    return 0.0 if curvature >= 0 else max(-0.5, min(0.5, 0.5 * (before - after) / curvature))
