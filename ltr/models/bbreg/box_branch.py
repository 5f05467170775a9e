"""What the nets with ATOM's box branch have in common."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ltr.models.backbone.resnet import ResNet
from ltr.models.bbreg.box_rater import BoxRater
from ltr.models.bbreg.iou_net import AtomIoUNet
from ltr.models.layers.fusion import fuse_conv_bn, in_channels_last
from ltr.models.layers.packed import pack_convolutions

LAYERS = ("layer2", "layer3")


class BoxBranchNet(nn.Module):
    """A backbone with two levels, and the box branch on both. Subclasses make the parts and add what finds the target.

    Attributes:
        feature_extractor: the backbone, with ``layer2`` and ``layer3``.
        bb_regressor: on ``layer2`` and ``layer3``.
        image_format: dtype and memory format that the backbone wants images in; empty: any.
    """

    feature_extractor: ResNet
    bb_regressor: AtomIoUNet
    image_format: dict[str, Any]

    def __init__(self) -> None:
        super().__init__()
        self.image_format = {}

    def backbone(self, images: Tensor) -> dict[str, Tensor]:
        """``(B, 3, H, W)`` images to ``layer2``, ``(B, C2, H/8, W/8)``, and ``layer3``, ``(B, C3, H/16, W/16)``."""
        return self.feature_extractor(images.to(**self.image_format) if self.image_format else images, LAYERS)

    def iou_modulation(self, backbone: dict[str, Tensor], boxes_xywh: Tensor) -> tuple[Tensor, Tensor]:
        """Maps of S reference images and their ``(S, 4)`` boxes to two modulation vectors ``(S, C, 1, 1)``."""
        return self.bb_regressor.modulation(backbone["layer2"], backbone["layer3"], boxes_xywh)

    def iou_features(self, backbone: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Maps of B test images to the two maps of the box branch, at strides 8 and 16."""
        return self.bb_regressor.features(backbone["layer2"], backbone["layer3"])

    def predict_iou(
        self, modulation: tuple[Tensor, Tensor], iou_features: tuple[Tensor, Tensor], boxes_xywh: Tensor
    ) -> Tensor:
        """Predicted overlaps ``(S, N)`` of ``(S, N, 4)`` boxes; differentiable."""
        return self.bb_regressor.predict_iou(modulation, iou_features, boxes_xywh)

    def predict_iou_with_gradient(
        self, modulation: tuple[Tensor, Tensor], iou_features: tuple[Tensor, Tensor], boxes_xywh: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Predicted overlaps ``(S, N)`` and the gradient ``(S, N, 4)`` of their sum in x, y, w, h, in closed form."""
        return self.bb_regressor.predict_iou_with_gradient(modulation, iou_features, boxes_xywh)

    def box_rater(self, modulation: tuple[Tensor, Tensor], backbone: dict[str, Tensor]) -> BoxRater:
        """What rates boxes ``(N, 4)`` in one image as :meth:`predict_iou_with_gradient` does, for the least work.

        Args:
            modulation: of the target, two tensors ``(1, C, 1, 1)``.
            backbone: maps of the image.
        """
        return BoxRater(self, modulation, backbone)

    def prepare_parts(self, parts: tuple[nn.Module, ...], dtype: torch.dtype, boxes: int) -> None:
        """Brings the net, in place, into the fastest form for tracking where it is; it cannot be trained any more.

        Batch normalisation is folded, convolutions have the device's favourite memory layout, no parameter takes a
        gradient.

        Args:
            parts: what else is computed for every frame's image beside the backbone and the box branch's maps.
            dtype: of what is computed for every frame's image.
            boxes: number of boxes that are rated at once, for the layout of the box branch's weights.
        """
        fuse_conv_bn(self.eval().requires_grad_(False))
        box = self.bb_regressor
        box.fc3_rt.prepare(boxes)
        box.fc4_rt.prepare(boxes)
        levels = (box.conv3_1t, box.conv3_2t, box.conv4_1t, box.conv4_2t)
        for part in (self.feature_extractor, *parts, *levels):
            in_channels_last(part.to(dtype))
            pack_convolutions(part)
        self.image_format = {"dtype": dtype, "memory_format": torch.channels_last}
