"""The features of DCFST's proposals ("Learning Feature Embeddings for Discriminant Model based Tracking", ECCV 2020).

Section 3.1: convolutions on two levels of the backbone, Precise RoI pooling of many boxes of one size, and one fully
connected layer for each level. The official code scales the features by their root mean square over the proposals.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ltr.models.layers.blocks import conv_block
from ltr.models.layers.normalization import at_least_float32
from ltr.models.layers.packed import PackedLinear, can_pack
from ltr.ops.rois import rois_of
from prroi_pool import prroi_pool2d, prroi_pool_grid
from prroi_pool.exact import axis_weights

STRIDES = (8, 16)
TYPICAL_BOXES = 961  # for the layout of packed weights; any other number works


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
        self.depth = depth
        for level, first, later in zip((3, 4), in_channels, channels, strict=True):
            for number in range(depth):
                setattr(self, f"conv{level}_{number + 1}", conv_block(later if number else first, later))
        self.fc3 = Embedding(channels[0], bins[0], STRIDES[0], embedding[0])
        self.fc4 = Embedding(channels[1], bins[1], STRIDES[1], embedding[1])
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
                nn.init.zeros_(module.get_parameter("bias"))

    def maps(self, layer2: Tensor, layer3: Tensor) -> tuple[Tensor, Tensor]:
        """The two maps, ``(B, C, h, w)`` and ``(B, C', h / 2, w / 2)``, from which proposals are pooled.

        Args:
            layer2: ``(B, C2, h, w)`` of the backbone, at stride 8.
            layer3: ``(B, C3, h / 2, w / 2)``, at stride 16.
        """
        for number in range(1, self.depth + 1):
            layer2 = getattr(self, f"conv3_{number}")(layer2)
            layer3 = getattr(self, f"conv4_{number}")(layer3)
        return layer2, layer3

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
        layers = (self.fc3, self.fc4)
        features = [layer.grid(level, corners, target_sz_wh) for layer, level in zip(layers, maps, strict=True)]
        if extra_boxes_xywh is not None:
            extra = [layer.boxes(level, extra_boxes_xywh) for layer, level in zip(layers, maps, strict=True)]
            features = [torch.cat(both, 1) for both in zip(features, extra, strict=True)]
        return torch.cat(features, 2)

    def prepare(self, dtype: torch.dtype) -> None:
        """Brings the linear layers into the form that is fastest for tracking; see :meth:`Embedding.prepare`."""
        self.fc3.prepare(dtype, between=False)  # more columns than any grid in use; its weights would be stored twice
        self.fc4.prepare(dtype, between=True)


class Embedding(nn.Module):
    """Precise RoI pooling to square bins, and a linear layer.

    Args:
        channels: of the map.
        bins: bins of a box in x and in y.
        stride: image pixels per cell of the map.
        out_features: outputs of the linear layer.
    """

    def __init__(self, channels: int, bins: int, stride: int, out_features: int) -> None:
        super().__init__()
        self.channels, self.bins, self.stride, self.out_features = channels, bins, stride, out_features
        self.linear: nn.Module = nn.Linear(channels * bins**2, out_features)
        self._dtype: torch.dtype | None = None
        self._between: PackedLinear | None = None  # without bias, from all bins in y to outputs for each bin in x
        self._bias: Tensor = torch.empty(0)

    def grid(self, level: Tensor, corners: Tensor, size_wh: Tensor) -> Tensor:
        """Features of boxes of one size on a grid.

        Args:
            level: ``(B, C, h, w)``.
            corners: ``(B, 2, count)`` x of the boxes' left edges and y of their upper ones, in image pixels.
            size_wh: ``(B, 2)`` of the boxes of each image.

        Returns:
            ``(B, count ** 2, out_features)``, x fastest.
        """
        between = self.between(level.shape[3], corners.shape[2])
        if between is not None:
            return self._embed_between(between, level, *self.weights_xy(level, corners, size_wh))
        # Looking at the boxes' values would make every call wait for the device.
        pooled = prroi_pool_grid(
            at_least_float32(level), corners[:, 0], corners[:, 1], size_wh, self.bins, self.bins, 1 / self.stride,
            check_values=False,
        )  # fmt: skip
        return self._embed(pooled, level.shape[0])

    def boxes(self, level: Tensor, boxes_xywh: Tensor) -> Tensor:
        """Features of any boxes ``(B, E, 4)`` in image pixels, ``(B, E, out_features)``."""
        rois = rois_of(boxes_xywh)
        pooled = prroi_pool2d(
            at_least_float32(level), rois, self.bins, self.bins, 1 / self.stride, check_values=False
        )
        return self._embed(pooled, level.shape[0])

    def _embed(self, pooled: Tensor, batch: int) -> Tensor:
        """One product over the boxes of all images."""
        vectors = pooled.reshape(-1, self.channels * self.bins**2)
        return self.linear(vectors if self._dtype is None else vectors.to(self._dtype)).unflatten(0, (batch, -1))

    def _embed_between(self, linear: PackedLinear, level: Tensor, x: Tensor, y: Tensor) -> Tensor:
        """Pools in y, applies the linear layer's weights to every column of cells, pools in x.

        All three are linear, so this is the same; and it is less work where a map has fewer columns than the grid: the
        product is over 31 x 18 vectors instead of 31 x 31.
        """
        values = linear(self.pool_y(level, y).to(self._dtype))
        return self.pool_x(at_least_float32(values), x) + self._bias

    def between(self, columns: int, count: int) -> PackedLinear | None:
        """The linear layer, where it is applied between pooling in y and in x; for a map of so many columns."""
        return self._between if 5 * columns < 4 * count else None

    def weights_xy(self, level: Tensor, corners: Tensor, size_wh: Tensor) -> tuple[Tensor, Tensor]:
        """What every cell counts in every bin, along x and along y, ``(B, count, bins, cells)``; see :meth:`grid`."""
        x, y = (
            axis_weights(low, low + size, 1 / self.stride, self.bins, cells, level)
            for low, size, cells in zip(
                corners.unbind(1), size_wh[..., None].unbind(1), (level.shape[3], level.shape[2]), strict=True
            )
        )
        return x, y

    def pool_y(self, level: Tensor, y: Tensor) -> Tensor:
        """A map ``(B, C, h, w)`` pooled along y alone, ``(B * count * w, bins * C)``."""
        batch, channels, height, width = level.shape
        cells = at_least_float32(level).permute(0, 2, 3, 1).reshape(batch, height, width * channels)
        rows = (y.flatten(1, 2) @ cells).reshape(batch, -1, self.bins, width, channels)
        return rows.transpose(2, 3).reshape(-1, self.bins * channels)

    def pool_x(self, values: Tensor, x: Tensor) -> Tensor:
        """Values ``(B * count * w, bins * out)`` of such rows pooled along x, ``(B, count ** 2, out)``."""
        batch, count, bins, width = x.shape
        columns = values.reshape(batch, count, width * bins, self.out_features)
        return (x.transpose(2, 3).reshape(batch, 1, count, width * bins) @ columns).flatten(1, 2)

    def prepare(self, dtype: torch.dtype, between: bool) -> None:
        """Computes in another precision, and on the CPU with packed weights; in place, for evaluation mode.

        Args:
            dtype: of the products over boxes.
            between: where a map has few columns, apply the linear layer between pooling in y and in x.
        """
        linear = self.linear.to(dtype)
        self._dtype = dtype
        if not isinstance(linear, nn.Linear) or not can_pack(linear.weight):
            return
        if between:
            by_bin = linear.weight.unflatten(1, (self.channels, self.bins, self.bins)).permute(3, 0, 2, 1)
            self._between = PackedLinear(by_bin.flatten(0, 1).flatten(1), None, TYPICAL_BOXES)
            self._bias = linear.bias.detach().float()
        self.linear = PackedLinear(linear.weight, linear.bias, TYPICAL_BOXES)


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
