"""Convolution and linear layers with their batch normalisation and ReLU."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


def conv_block(in_channels: int, out_channels: int, kernel: int = 3, padding: int = 1) -> nn.Sequential:
    """Convolution with bias, batch normalisation, ReLU, for ``(B, C, h, w)``."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel, padding=padding),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


class LinearBlock(nn.Module):
    """Linear layer, batch normalisation and ReLU on whole maps.

    Args:
        in_channels: channels of a map.
        size: cells of a map's side.
        out_channels: outputs.
    """

    def __init__(self, in_channels: int, size: int, out_channels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(in_channels * size * size, out_channels)
        self.bn = nn.BatchNorm2d(out_channels)

    def forward(self, maps: Tensor) -> Tensor:
        """``(B, in_channels, size, size)`` to ``(B, out_channels)``."""
        x = self.linear(maps.flatten(1))
        return F.relu(self.bn(x[:, :, None, None]), inplace=True)[:, :, 0, 0]
