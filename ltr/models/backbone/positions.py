"""Position embeddings of vision transformers on square grids."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def resample_positions(pos_embed: Tensor, side: int) -> Tensor:
    """Learned positions of one grid for another one, by bicubic interpolation.

    Args:
        pos_embed: ``(1, 1 + n * n, C)``: the class token's, then the grid's, row by row.
        side: cells of the new grid's side.

    Returns:
        ``(1, side * side, C)``, without the class token's.

    Raises:
        ValueError: the grid is not square.
    """
    count = pos_embed.shape[1] - 1
    old = math.isqrt(count)
    if old * old != count or count < 1:
        raise ValueError(f"positions {tuple(pos_embed.shape)} are not a class token and a square grid")
    grid = pos_embed[:, 1:].unflatten(1, (old, old)).permute(0, 3, 1, 2)
    grid = F.interpolate(grid, size=(side, side), mode="bicubic", align_corners=False)
    return grid.flatten(2).transpose(1, 2)


def sine_positions(side: int, channels: int) -> Tensor:
    """Sines and cosines of the cells' coordinates, to start from without trained positions.

    A quarter of the channels each for the sine and cosine of x and of y, wavelengths from 2 pi to 2 pi * 10,000 in
    cells of a 14 x 14 grid that is laid over the crop.

    Args:
        side: cells of the grid's side.
        channels: multiple of 4.

    Returns:
        ``(1, side * side, channels)`` float32 in [-1, 1].
    """
    if channels % 4:
        raise ValueError(f"the width must be a multiple of 4, not {channels}")
    cells = (torch.arange(side, dtype=torch.float64) + 0.5) * (14 / side)
    rates = 10000.0 ** (-torch.arange(channels // 4, dtype=torch.float64) / (channels // 4))
    phase = cells[:, None] * rates
    waves = torch.cat([phase.sin(), phase.cos()], 1)
    rows, columns = waves[:, None].expand(-1, side, -1), waves[None].expand(side, -1, -1)
    return torch.cat([columns, rows], 2).reshape(1, side * side, channels).float()
