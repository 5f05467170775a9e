"""The features of DCFST's proposals ("Learning Feature Embeddings for Discriminant Model based Tracking", ECCV 2020).

Section 3.1: convolutions on two levels of the backbone, Precise RoI pooling of many boxes of one size, and one fully
connected layer for each level. The official code scales the features by their root mean square over the proposals.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from ltr.models.layers.blocks import conv_block
from ltr.models.layers.normalization import at_least_float32
from ltr.ops.rois import rois_of
from prroi_pool import prroi_pool2d, prroi_pool_grid

STRIDES = (8, 16)


class LocationPredictor(nn.Module):
    """Features of proposals, ``D = sum(embedding)`` for each.

    The entries of the convolutions are ``conv3_1``, ``conv3_2`` .. on the finer level, ``conv4_1`` .. on the coarser.

    Args:
        in_channels: channels of ``layer2`` and ``layer3`` of the backbone.
        channels: outputs of all convolutions of the two levels.
        depth: convolutions of a level.
        bins: bins of a proposal's side, on the two levels.
        embedding: outputs of the two fully connected layers.
    """

    def __init__(
        self,
        in_channels: tuple[int, int] = (128, 256),
        channels: tuple[int, int] = (128, 256),
        depth: int = 2,
        bins: tuple[int, int] = (8, 4),
        embedding: tuple[int, int] = (512, 512),
    ) -> None:
        super().__init__()
        self.depth, self.bins = depth, bins
        for level, first, later in zip((3, 4), in_channels, channels, strict=True):
            for number in range(depth):
                setattr(self, f"conv{level}_{number + 1}", conv_block(later if number else first, later))
        self.fc3 = _linear(channels[0] * bins[0] ** 2, embedding[0])
        self.fc4 = _linear(channels[1] * bins[1] ** 2, embedding[1])
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
                nn.init.zeros_(module.get_parameter("bias"))

    def maps(self, layer2: Tensor, layer3: Tensor) -> tuple[Tensor, Tensor]:
        """The two maps, ``(B, C, h, w)`` and ``(B, C', h / 2, w / 2)``, from which proposals are pooled.

        Args:
            layer2: ``(B, C2, h, w)`` of the backbone, at stride 8.
            layer3: ``(B, C3, h / 2, w / 2)``, at stride 16.

        Returns:
            at least float32, channel by channel as pooling reads them.
        """
        for number in range(1, self.depth + 1):
            layer2 = getattr(self, f"conv3_{number}")(layer2)
            layer3 = getattr(self, f"conv4_{number}")(layer3)
        return at_least_float32(layer2).contiguous(), at_least_float32(layer3).contiguous()

    def embed(
        self, maps: tuple[Tensor, Tensor], centres: Tensor, target_sz_wh: Tensor, extra_boxes_xywh: Tensor | None = None
    ) -> Tensor:
        """Features of a grid of proposals and of further boxes, not yet normalised.

        Args:
            maps: of :meth:`maps`, B images.
            centres: ``(count,)`` of the proposals along both axes, in crop pixels.
            target_sz_wh: ``(B, 2)`` width and height of the proposals of each image.
            extra_boxes_xywh: ``(B, E, 4)``.

        Returns:
            ``(B, count ** 2 + E, D)``: the grid, x fastest, then the further boxes.
        """
        corners = centres - 0.5 * target_sz_wh[..., None]  # (B, 2, count)
        rois = None if extra_boxes_xywh is None else rois_of(extra_boxes_xywh)
        batch, levels = target_sz_wh.shape[0], []
        for level, bins, stride, layer in zip(maps, self.bins, STRIDES, (self.fc3, self.fc4), strict=True):
            # Looking at the boxes' values would make every call wait for the device.
            geometry = (bins, bins, 1 / stride)
            pooled = prroi_pool_grid(
                level, corners[:, 0], corners[:, 1], target_sz_wh, *geometry, check_values=False
            ).reshape(batch, len(centres) ** 2, -1)
            parts = [layer(pooled)]
            if rois is not None:
                extra = prroi_pool2d(level, rois, *geometry, check_values=False)
                parts.append(layer(extra.reshape(batch, -1, pooled.shape[2])))
            levels.append(torch.cat(parts, 1))
        return torch.cat(levels, 2)


def normalise(features: Tensor) -> Tensor:
    """Scales every feature so that its mean square over an image's proposals is 1.

    Args:
        features: ``(B, N, D)``.

    Returns:
        the same shape, at least float32. A feature that is zero everywhere stays zero.
    """
    features = at_least_float32(features)
    power = features.square().mean(1, keepdim=True)
    return features * torch.where(power > 0, power, 1.0).rsqrt()


def _linear(in_features: int, out_features: int) -> nn.Sequential:
    return nn.Sequential(OrderedDict(linear=nn.Linear(in_features, out_features)))
