"""Residual nets ("Deep Residual Learning for Image Recognition", CVPR 2016) that stop where their user stops."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from ltr.models.layers.blocks import conv_norm_relu

STAGES = ("conv1", "layer1", "layer2", "layer3", "layer4", "fc")
STRIDES = {"conv1": 2, "layer1": 4, "layer2": 8, "layer3": 16, "layer4": 32}


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut.

    Args:
        in_channels: channels of the input.
        channels: channels of both convolutions.
        stride: of the first convolution and of the shortcut.
    """

    expansion = 1
    relu_after = ("conv1", "conv2")

    def __init__(self, in_channels: int, channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = _shortcut(in_channels, channels, stride)

    def forward(self, features: Tensor) -> Tensor:
        """``(B, in_channels, h, w)`` to ``(B, channels, h / stride, w / stride)``."""
        x = conv_norm_relu(self.conv1, self.bn1, features)
        shortcut = features if self.downsample is None else self.downsample(features)
        return conv_norm_relu(self.conv2, self.bn2, x, shortcut)


class Bottleneck(nn.Module):
    """A 3 x 3 convolution between two 1 x 1 convolutions; the stride is the 3 x 3 convolution's.

    Args:
        in_channels: channels of the input.
        channels: channels of the 3 x 3 convolution, a quarter of the output's.
        stride: of the 3 x 3 convolution and of the shortcut.
    """

    expansion = 4
    relu_after = ("conv1", "conv2", "conv3")

    def __init__(self, in_channels: int, channels: int, stride: int = 1) -> None:
        super().__init__()
        out_channels = channels * self.expansion
        self.conv1 = nn.Conv2d(in_channels, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.downsample = _shortcut(in_channels, out_channels, stride)

    def forward(self, features: Tensor) -> Tensor:
        """``(B, in_channels, h, w)`` to ``(B, 4 channels, h / stride, w / stride)``."""
        x = conv_norm_relu(self.conv1, self.bn1, features)
        x = conv_norm_relu(self.conv2, self.bn2, x)
        shortcut = features if self.downsample is None else self.downsample(features)
        return conv_norm_relu(self.conv3, self.bn3, x, shortcut)


class ResNet(nn.Module):
    """A residual net whose entries are named as torchvision's.

    Args:
        block: the residual block.
        depths: blocks of the four layers.
        width: multiplies every channel number; 1 is the paper's.
        with_head: whether ``layer4`` and ``fc`` exist. DiMP does not use them, but its published files hold them.
        num_classes: outputs of ``fc``.
    """

    relu_after = ("conv1",)

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        depths: Sequence[int],
        width: float = 1.0,
        with_head: bool = False,
        num_classes: int = 1000,
    ) -> None:
        super().__init__()
        base = [max(1, round(n * width)) for n in (64, 64, 128, 256, 512)]
        self.conv1 = nn.Conv2d(3, base[0], 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(base[0])
        self.channels = {"conv1": base[0]}
        channels = base[0]
        for index, depth in enumerate(depths[: 4 if with_head else 3], start=1):
            blocks = []
            for number in range(depth):
                stride = 2 if number == 0 and index > 1 else 1
                blocks.append(block(channels, base[index], stride))
                channels = base[index] * block.expansion
            setattr(self, f"layer{index}", nn.Sequential(*blocks))
            self.channels[f"layer{index}"] = channels
        if with_head:
            self.fc = nn.Linear(channels, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor, layers: Sequence[str] = ("layer2", "layer3")) -> dict[str, Tensor]:
        """Computes the maps that are asked for, and nothing behind the last of them.

        Args:
            images: ``(B, 3, H, W)`` normalised RGB.
            layers: names among ``conv1`` (after its ReLU, before the pooling), ``layer1`` .. ``layer4`` and ``fc``.

        Returns:
            name -> ``(B, C, H / stride, W / stride)``, ``(B, num_classes)`` for ``fc``.

        Raises:
            ValueError: a name that this net does not have.
        """
        unknown = [name for name in layers if name not in STAGES or not hasattr(self, name)]
        if unknown:
            present = ", ".join(name for name in STAGES if hasattr(self, name))
            raise ValueError(f"this backbone has no map {', '.join(unknown)}; it has {present}")
        last = max((STAGES.index(name) for name in layers), default=-1)
        maps: dict[str, Tensor] = {}
        x = images
        for stage in STAGES[: last + 1]:
            if stage == "conv1":
                x = conv_norm_relu(self.conv1, self.bn1, x)
            elif stage == "fc":
                x = self.fc(x.mean((2, 3)))
            else:
                x = getattr(self, stage)(F.max_pool2d(x, 3, 2, 1) if stage == "layer1" else x)
            if stage in layers:
                maps[stage] = x
        return maps


def resnet18(width: float = 1.0, with_head: bool = False) -> ResNet:
    """ResNet-18: 128 channels in ``layer2``, 256 in ``layer3``; see :class:`ResNet`."""
    return ResNet(BasicBlock, (2, 2, 2, 2), width, with_head)


def resnet50(width: float = 1.0, with_head: bool = False) -> ResNet:
    """ResNet-50: 512 channels in ``layer2``, 1024 in ``layer3``; see :class:`ResNet`."""
    return ResNet(Bottleneck, (3, 4, 6, 3), width, with_head)


def _shortcut(in_channels: int, out_channels: int, stride: int) -> nn.Sequential | None:
    if stride == 1 and in_channels == out_channels:
        return None
    return nn.Sequential(nn.Conv2d(in_channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels))
