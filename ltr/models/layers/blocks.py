"""Convolution and linear layers with their batch normalisation and ReLU."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_linear_bn_eval

from ltr.models.layers.packed import PackedConv2d, PackedLinear, can_pack


def conv_block(in_channels: int, out_channels: int, kernel: int = 3, padding: int = 1) -> nn.Sequential:
    """Convolution with bias, batch normalisation, ReLU, for ``(B, C, h, w)``."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel, padding=padding),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


def conv_norm_relu(conv: nn.Module, norm: nn.Module, features: Tensor, shortcut: Tensor | None = None) -> Tensor:
    """Convolution, normalisation, a shortcut if there is one, ReLU; in one pass if the convolution is packed."""
    if isinstance(conv, PackedConv2d):
        return conv(features, shortcut)
    x = norm(conv(features))
    return F.relu(x if shortcut is None else x.add_(shortcut), inplace=True)


class LinearBlock(nn.Module):
    """Linear layer, batch normalisation and ReLU on whole maps.

    Args:
        in_channels: channels of a map.
        size: cells of a map's side.
        out_channels: outputs.
    """

    def __init__(self, in_channels: int, size: int, out_channels: int) -> None:
        super().__init__()
        self.out_channels = out_channels
        self.linear: nn.Module = nn.Linear(in_channels * size * size, out_channels)
        self.bn: nn.Module = nn.BatchNorm2d(out_channels)

    def forward(self, maps: Tensor) -> Tensor:
        """``(B, in_channels, size, size)`` to ``(B, out_channels)``."""
        return F.relu(self.before_activation(maps))

    def before_activation(self, maps: Tensor) -> Tensor:
        """What :meth:`forward` cuts off at zero."""
        return self.bn(self.linear(maps.flatten(1))[:, :, None, None])[:, :, 0, 0]

    def input_gradient(self, gradient: Tensor) -> Tensor:
        """Chain rule through everything before the activation, as evaluation mode has it.

        Args:
            gradient: ``(B, out_channels)`` in the result of :meth:`before_activation`.

        Returns:
            ``(B, in_channels * size * size)`` in the flattened maps.
        """
        if isinstance(self.bn, nn.BatchNorm2d):
            variance = self.bn.get_buffer("running_var")
            gradient = gradient * (self.bn.weight * torch.rsqrt(variance + self.bn.eps))
        if isinstance(self.linear, PackedLinear):
            return self.linear.input_gradient(gradient)
        return gradient @ self.linear.get_parameter("weight")

    def prepare(self, rows: int) -> None:
        """Folds the batch normalisation into the linear layer and packs that, for evaluation mode.

        Args:
            rows: how many maps come at once, roughly.
        """
        if isinstance(self.linear, nn.Linear) and isinstance(self.bn, nn.BatchNorm2d):
            linear = fuse_linear_bn_eval(self.linear, self.bn)
            packed = can_pack(linear.weight)
            self.linear = PackedLinear(linear.weight, linear.bias, rows, way_back=True) if packed else linear
            self.bn = nn.Identity()
