"""The box branch of ATOM and DiMP: predicts the overlap of proposals with the target (ATOM, CVPR 2019, Section 3.1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ltr.models.bbreg.box_gradient import BoxPool
from ltr.models.layers.blocks import LinearBlock, conv_block
from ltr.models.layers.normalization import at_least_float32
from ltr.ops.rois import rois_of
from prroi_pool import prroi_pool2d

Pair = tuple[Tensor, Tensor]  # one for each level of the backbone

STRIDES = (8, 16)
REFERENCE_BINS, TEST_BINS = (3, 1), (5, 3)


class AtomIoUNet(nn.Module):
    """Predicts the IoU of boxes with a target that is known from a reference image.

    The reference branch turns the target into two vectors, one for each level of the backbone; they weight the
    channels of the test image's features, from which boxes are pooled and rated.

    Args:
        in_channels: channels of ``layer2`` and ``layer3`` of the backbone.
        test_channels: channels of the test branch's two maps, and so of the modulation vectors.
        hidden_channels: outputs of the two linear layers.
        inner_channels: channels between the two convolutions of a level of the test branch.
        reference_channels: channels of the reference branch's two levels.
        reference_hidden: outputs of the reference branch's linear layer on the first level.
    """

    def __init__(
        self,
        in_channels: tuple[int, int] = (128, 256),
        test_channels: tuple[int, int] = (256, 256),
        hidden_channels: tuple[int, int] = (256, 256),
        inner_channels: tuple[int, int] = (256, 256),
        reference_channels: tuple[int, int] = (128, 256),
        reference_hidden: int = 256,
    ) -> None:
        super().__init__()
        in3, in4 = in_channels
        ref3, ref4 = reference_channels
        out3, out4 = test_channels
        self.conv3_1r = conv_block(in3, ref3)
        self.conv3_1t = conv_block(in3, inner_channels[0])
        self.conv3_2t = conv_block(inner_channels[0], out3)
        self.fc3_1r = conv_block(ref3, reference_hidden, REFERENCE_BINS[0], padding=0)
        self.conv4_1r = conv_block(in4, ref4)
        self.conv4_1t = conv_block(in4, inner_channels[1])
        self.conv4_2t = conv_block(inner_channels[1], out4)
        self.fc34_3r = conv_block(reference_hidden + ref4, out3, 1, padding=0)
        self.fc34_4r = conv_block(reference_hidden + ref4, out4, 1, padding=0)
        self.fc3_rt = LinearBlock(out3, TEST_BINS[0], hidden_channels[0])
        self.fc4_rt = LinearBlock(out4, TEST_BINS[1], hidden_channels[1])
        self.iou_predictor = nn.Linear(sum(hidden_channels), 1)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
                nn.init.zeros_(module.get_parameter("bias"))

    def modulation(self, layer2: Tensor, layer3: Tensor, boxes_xywh: Tensor) -> Pair:
        """Modulation vectors of targets.

        Args:
            layer2: ``(S, C2, h, w)`` features of the reference images at stride 8.
            layer3: ``(S, C3, h / 2, w / 2)`` at stride 16.
            boxes_xywh: ``(S, 4)`` targets in crop pixels.

        Returns:
            two tensors ``(S, C, 1, 1)``.
        """
        rois = rois_of(boxes_xywh[:, None])
        layer2, layer3 = layer2.to(rois.dtype), layer3.to(rois.dtype)
        bins3, bins4 = REFERENCE_BINS
        # Looking at the boxes' values would make every call wait for the device.
        pooled3 = prroi_pool2d(self.conv3_1r(layer2), rois, bins3, bins3, 1 / STRIDES[0], check_values=False)
        pooled4 = prroi_pool2d(self.conv4_1r(layer3), rois, bins4, bins4, 1 / STRIDES[1], check_values=False)
        both = torch.cat([self.fc3_1r(pooled3), pooled4], 1)
        return self.fc34_3r(both), self.fc34_4r(both)

    def features(self, layer2: Tensor, layer3: Tensor) -> Pair:
        """Maps of test images from which boxes are pooled.

        Args:
            layer2: ``(B, C2, h, w)``.
            layer3: ``(B, C3, h / 2, w / 2)``.

        Returns:
            ``(B, C, h, w)`` and ``(B, C, h / 2, w / 2)``, at least float32, channel by channel as pooling reads them.
        """
        maps3, maps4 = self.conv3_2t(self.conv3_1t(layer2)), self.conv4_2t(self.conv4_1t(layer3))
        return at_least_float32(maps3).contiguous(), at_least_float32(maps4).contiguous()

    def predict_iou(self, modulation: Pair, features: Pair, boxes_xywh: Tensor) -> Tensor:
        """Predicted overlaps, differentiable in every argument.

        Args:
            modulation: two tensors ``(S, C, 1, 1)``.
            features: of :meth:`features`, B images in the order of ``(T, S)``, B = T S.
            boxes_xywh: ``(B, N, 4)`` in crop pixels.

        Returns:
            ``(B, N)``. The net is trained with ``2 IoU - 1``.

        Raises:
            ValueError: numbers of images that do not fit to each other.
        """
        _check_images(modulation, features, boxes_xywh)
        batch, count = boxes_xywh.shape[:2]
        rois = rois_of(boxes_xywh)
        hidden = []
        for vector, level, bins, stride, block in zip(
            modulation, features, TEST_BINS, STRIDES, (self.fc3_rt, self.fc4_rt), strict=True
        ):
            pooled = prroi_pool2d(level, rois, bins, bins, 1 / stride, check_values=False)
            per_box = vector.repeat(batch // vector.shape[0], 1, 1, 1).repeat_interleave(count, 0)
            hidden.append(block(pooled * per_box))
        return self.iou_predictor(torch.cat(hidden, 1)).reshape(batch, count)

    def predict_iou_with_gradient(self, modulation: Pair, features: Pair, boxes_xywh: Tensor) -> Pair:
        """Predicted overlaps and their gradient in the boxes, in closed form: no graph is recorded or needed.

        Pooling is linear in the map and the head is piecewise linear, so that the gradient is the head's weights taken
        backwards to the bins, times the derivative of the bins in the four coordinates. For evaluation mode.

        Args:
            modulation: two tensors ``(S, C, 1, 1)``, one vector for each image.
            features: of :meth:`features`, S images.
            boxes_xywh: ``(S, N, 4)`` float32 in crop pixels. A box that is not finite gets NaN, and the others their
                numbers.

        Returns:
            overlaps ``(S, N)``, and the gradient of their sum, ``(S, N, 4)``, in x, y, w and h.

        Raises:
            RuntimeError: the net is in training mode.
            ValueError: numbers of images that do not fit to each other.
        """
        if self.training:
            raise RuntimeError("the closed-form box gradient is that of evaluation mode: call eval() first")
        _check_images(modulation, features, boxes_xywh)
        finite = (boxes_xywh - boxes_xywh == 0).all(-1)  # three operations; isfinite has seven
        boxes = torch.where(finite[..., None], boxes_xywh, 0.0)
        pool = BoxPool(features, boxes, TEST_BINS, [1 / stride for stride in STRIDES])
        blocks = (self.fc3_rt, self.fc4_rt)
        final = self.iou_predictor.weight[0].split([block.out_channels for block in blocks])
        overlap: Tensor = self.iou_predictor.bias
        gradients = []
        for values, vector, block, weight in zip(pool.values, modulation, blocks, final, strict=True):
            channels = vector[:, None]
            before = block.before_activation((values * channels).flatten(0, 1))
            overlap = overlap + before.clamp(min=0) @ weight
            gradients.append(block.input_gradient((before > 0) * weight).reshape(values.shape) * channels)
        overlap = overlap.reshape(finite.shape).masked_fill(~finite, torch.nan)
        return overlap, pool.box_gradient(gradients).masked_fill(~finite[..., None], torch.nan)


def narrow_iou_net(in_channels: tuple[int, int], channels: int) -> AtomIoUNet:
    """A box branch with fewer channels than ATOM's 256.

    Args:
        in_channels: channels of ``layer2`` and ``layer3`` of the backbone.
        channels: of all layers but the reference branch's first, which has half of them.
    """
    pair = (channels, channels)
    return AtomIoUNet(in_channels, pair, pair, pair, (max(1, channels // 2), channels), channels)


def _check_images(modulation: Pair, features: Pair, boxes_xywh: Tensor) -> None:
    if boxes_xywh.dim() != 3 or boxes_xywh.shape[2] != 4:
        raise ValueError(f"boxes_xywh must be (images, boxes, 4), not {tuple(boxes_xywh.shape)}")
    images = boxes_xywh.shape[0]
    if any(level.shape[0] != images for level in features):
        raise ValueError(f"boxes_xywh are of {images} images, but the features of {features[0].shape[0]}")
    targets = modulation[0].shape[0]
    if images % max(targets, 1):
        raise ValueError(f"{targets} modulation vectors cannot be shared by {images} images")
