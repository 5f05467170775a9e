"""Initial estimates of the target filter (DiMP Section 3.3)."""

from __future__ import annotations

from torch import Tensor, nn

from ltr.ops.rois import rois_of
from prroi_pool import prroi_pool2d


class PoolInitializer(nn.Module):
    """One convolution, and precise RoI pooling of the target to the size of the filter.

    Args:
        channels: channels of the features and of the filter.
        filter_size: side k of the filter.
        stride: crop pixels per cell of the features.
    """

    def __init__(self, channels: int, filter_size: int, stride: int) -> None:
        super().__init__()
        self.filter_conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.filter_size, self.stride = filter_size, stride
        nn.init.kaiming_normal_(self.filter_conv.weight, mode="fan_out", nonlinearity="relu")
        nn.init.zeros_(self.filter_conv.get_parameter("bias"))

    def forward(self, features: Tensor, boxes_xywh: Tensor) -> Tensor:
        """``(T, S, C, h, w)`` features and ``(T, S, 4)`` boxes to ``(S, C, k, k)``, the mean over the T images."""
        images, sequences = features.shape[:2]
        maps = self.filter_conv(features.flatten(0, 1))
        rois = rois_of(boxes_xywh.flatten(0, 1)[:, None])
        size = (self.filter_size, self.filter_size)
        pooled = prroi_pool2d(maps, rois, *size, 1 / self.stride, check_values=False)
        return pooled.unflatten(0, (images, sequences)).mean(0)


class ZeroInitializer(nn.Module):
    """Starts from a filter of zeros: "SD" of Table 2, without an initializer.

    Args:
        filter_size: side k of the filter.
    """

    def __init__(self, filter_size: int) -> None:
        super().__init__()
        self.filter_size = filter_size

    def forward(self, features: Tensor, boxes_xywh: Tensor) -> Tensor:
        """``(T, S, C, h, w)`` features and ``(T, S, 4)`` boxes to ``(S, C, k, k)`` zeros."""
        sequences, channels = features.shape[1:3]
        return features.new_zeros(sequences, channels, self.filter_size, self.filter_size)
