"""DiMP: "Learning Discriminative Model Prediction for Tracking" (Bhat et al., ICCV 2019).

The builders make DiMP-18 and DiMP-50 with the entries of the published checkpoints, and a small net for CPUs.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ltr.models.backbone.resnet import ResNet, resnet18, resnet50
from ltr.models.bbreg.box_branch import BoxBranchNet
from ltr.models.bbreg.iou_net import AtomIoUNet, narrow_iou_net
from ltr.models.counting import image_like
from ltr.models.official import OfficialNet
from ltr.models.registry import NetSpec
from ltr.models.target_classifier.classifier import TargetClassifier
from ltr.models.target_classifier.optimizer import FilterIterates

BUILDERS = ("dimp18", "dimp50", "dimp18_small")

CROP = 288  # pixels of a search region's side in the paper
FILTER_SIZE, FEATURE_STRIDE = 4, 16

# The published files say how their net was built; a net with other values of these has the same entries.
_ARGUMENTS = {
    "filter_size": FILTER_SIZE, "feat_stride": FEATURE_STRIDE, "classification_layer": "layer3",
    "clf_feat_norm": True, "init_filter_norm": False, "bin_displacement": 0.1, "score_act": "relu",
    "target_mask_act": "sigmoid",
}  # fmt: skip
_DEFAULTS = {"filter_size": 1, "bin_displacement": 1.0}
OFFICIAL = {
    "dimpnet18": OfficialNet(NetSpec("dimp18"), _ARGUMENTS, _DEFAULTS),
    "dimpnet50": OfficialNet(NetSpec("dimp50"), _ARGUMENTS, _DEFAULTS),
}


class DiMPOutput(NamedTuple):
    """What the net gives in training.

    Attributes:
        scores: one ``(T, S, h + 1, w + 1)`` map of the test images for every iterate of the filter, Eq. 9.
        iou: ``(T, S, N)`` predicted overlaps of the proposals, trained with ``2 IoU - 1``.
    """

    scores: list[Tensor]
    iou: Tensor


class DiMPNet(BoxBranchNet):
    """Backbone, target classifier and box branch.

    Images are normalised RGB, boxes ``[x, y, w, h]`` in pixels of the crop. T counts images, S sequences, N boxes.

    Args:
        feature_extractor: the backbone, with ``layer2`` and ``layer3``.
        classifier: on ``layer3``.
        bb_regressor: on ``layer2`` and ``layer3``.
        train_iterations: recursions of the optimizer in :meth:`forward`.
    """

    filter_size: int
    feature_stride: int

    def __init__(
        self,
        feature_extractor: ResNet,
        classifier: TargetClassifier,
        bb_regressor: AtomIoUNet,
        train_iterations: int = 5,
    ) -> None:
        super().__init__()
        self.feature_extractor = feature_extractor
        self.classifier = classifier
        self.bb_regressor = bb_regressor
        self.train_iterations = train_iterations
        self.filter_size = FILTER_SIZE
        self.feature_stride = FEATURE_STRIDE

    def classification_features(self, layer3: Tensor) -> Tensor:
        """``(..., C3, h, w)`` of the backbone to ``(..., C, h, w)`` normalised features of the classifier."""
        return self.classifier.features(layer3)

    def initial_filter(self, features: Tensor, boxes_xywh: Tensor) -> Tensor:
        """``(T, S, C, h, w)`` classification features and ``(T, S, 4)`` boxes to filters ``(S, C, k, k)``."""
        return self.classifier.initial_filter(features, boxes_xywh)

    def optimize_filter(
        self,
        target_filter: Tensor,
        features: Tensor,
        boxes_xywh: Tensor,
        num_iter: int,
        sample_weight: Tensor | None = None,
        compute_losses: bool = False,
    ) -> FilterIterates:
        """Optimises filters on samples (Algorithm 1).

        Args:
            target_filter: ``(S, C, k, k)`` where to start.
            features: ``(T, S, C, h, w)`` classification features of the samples.
            boxes_xywh: ``(T, S, 4)`` target boxes.
            num_iter: recursions.
            sample_weight: ``(T,)`` or ``(T, S)`` weights of the samples; None for ``1 / T`` each.
            compute_losses: whether the losses of the iterates are returned.
        """
        return self.classifier.optimize(
            target_filter, features, boxes_xywh, num_iter, sample_weight, compute_losses
        )

    def classify(self, target_filter: Tensor, features: Tensor) -> Tensor:
        """``(S, C, k, k)`` filters and ``(T, S, C, h, w)`` classification features to ``(T, S, h+1, w+1)`` scores.

        The cell ``(i, j)`` stands for the position ``(16 i, 16 j)`` of the crop.
        """
        return self.classifier.classify(target_filter, features)

    def frame_pass(self) -> str:
        """Runs, on zeros, the layers that a tracker runs for every frame; returns what that is (for ``ltr-info``)."""
        maps = self.backbone(image_like(self, 1, 3, CROP, CROP))
        self.classification_features(maps["layer3"])
        self.iou_features(maps)
        return f"the features of one search region of {CROP} pixels; rating boxes and updating the filter are not in it"

    def forward(
        self, train_images: Tensor, test_images: Tensor, train_boxes: Tensor, test_proposals: Tensor
    ) -> DiMPOutput:
        """Trains on sets of images: filters from the train images, scores and overlaps on the test images.

        Args:
            train_images: ``(T, S, 3, H, W)``.
            test_images: ``(T, S, 3, H, W)``.
            train_boxes: ``(T, S, 4)`` targets of the train images.
            test_proposals: ``(T, S, N, 4)`` boxes to rate.
        """
        (train_count, sequences), test_count = train_images.shape[:2], test_images.shape[0]
        train = self.backbone(train_images.flatten(0, 1))
        test = self.backbone(test_images.flatten(0, 1))
        train_features = self.classification_features(train["layer3"]).unflatten(0, (train_count, sequences))
        test_features = self.classification_features(test["layer3"]).unflatten(0, (test_count, sequences))
        levels = self.iou_features(test)
        # Under autocast the maps may be half; step lengths, box coordinates and pooling need more.
        with torch.autocast(train_images.device.type, enabled=False):
            start = self.initial_filter(train_features, train_boxes)
            found = self.optimize_filter(start, train_features, train_boxes, self.train_iterations)
            scores = [self.classify(iterate, test_features) for iterate in found.iterates]
            modulation = self.iou_modulation({name: maps[:sequences] for name, maps in train.items()}, train_boxes[0])
            iou = self.predict_iou(modulation, levels, test_proposals.flatten(0, 1))
        return DiMPOutput(scores, iou.unflatten(0, (test_count, sequences)))


def prepare_for_tracking(net: DiMPNet, dtype: torch.dtype = torch.float32, boxes: int = 10) -> DiMPNet:
    """Changes a net, in place, into the fastest form for tracking where it is: same interface, same numbers.

    Batch normalisation is folded, convolutions have the device's favourite memory layout, no parameter takes a
    gradient. The net cannot be trained or saved any more, and belongs to the device on which it was prepared.

    Args:
        net: on its device.
        dtype: of what is computed for every frame's image, float32, bfloat16 or float16; filters and boxes are
            computed in float32, and all results are float32 but for the backbone's maps.
        boxes: number of boxes that are rated at once, for the layout of the box branch's weights; any other works.

    Returns:
        the net.
    """
    net.prepare_parts((net.classifier.feature_extractor,), dtype, boxes)
    return net


def dimp18(
    classification_block: str = "full",
    initializer: str = "prpool",
    optimizer: str = "steepest_descent",
    residual: str = "learned",
    train_iterations: int = 5,
    feature_size: int = 18,
    backbone_head: bool = True,
) -> DiMPNet:
    """Builds DiMP with a ResNet-18.

    The rows of the paper's Tables 1 and 2 are settings: ``optimizer="none"`` is "Init", ``"gradient_descent"`` is "GD";
    ``residual="hinge"`` is the table's form without a learned loss, ``initializer="zero"`` without an initializer,
    ``classification_block="none"`` without classification features.

    Args:
        classification_block: ``full``, ``conv`` or ``none``.
        initializer: ``prpool`` or ``zero``.
        optimizer: ``steepest_descent``, ``gradient_descent`` or ``none``.
        residual: ``learned``, ``hinge`` or ``l2``.
        train_iterations: recursions in training.
        feature_size: cells of a training crop's side, which the initial label refers to; 18 for 288 pixels.
        backbone_head: whether the unused ``layer4`` and ``fc`` exist, as they do in the published files.
    """
    backbone = resnet18(with_head=backbone_head)
    classifier = TargetClassifier(
        256, 256, FILTER_SIZE, FEATURE_STRIDE, feature_size,
        classification_block, initializer, optimizer, residual,
    )  # fmt: skip
    return DiMPNet(backbone, classifier, AtomIoUNet((128, 256)), train_iterations)


def dimp50(
    classification_block: str = "conv",
    initializer: str = "prpool",
    optimizer: str = "steepest_descent",
    residual: str = "learned",
    train_iterations: int = 5,
    feature_size: int = 18,
    backbone_head: bool = True,
) -> DiMPNet:
    """Builds DiMP with a ResNet-50 and 512 classification channels; see :func:`dimp18` for the arguments."""
    backbone = resnet50(with_head=backbone_head)
    channels = 1024 if classification_block == "none" else 512
    classifier = TargetClassifier(
        1024, channels, FILTER_SIZE, FEATURE_STRIDE, feature_size,
        classification_block, initializer, optimizer, residual,
    )  # fmt: skip
    return DiMPNet(backbone, classifier, AtomIoUNet((512, 1024)), train_iterations)


def dimp18_small(
    width: float = 0.5,
    classification_channels: int = 128,
    box_channels: int = 128,
    classification_block: str = "full",
    initializer: str = "prpool",
    optimizer: str = "steepest_descent",
    residual: str = "learned",
    train_iterations: int = 5,
    feature_size: int = 18,
) -> DiMPNet:
    """Builds a DiMP of the same structure that a CPU can train.

    Args:
        width: multiplies the channels of the ResNet-18.
        classification_channels: channels of the classification features.
        box_channels: channels of the box branch, 256 in DiMP.
        classification_block: as for :func:`dimp18`, as are the arguments behind it.
    """
    backbone = resnet18(width)
    in3, in4 = backbone.channels["layer2"], backbone.channels["layer3"]
    classifier = TargetClassifier(
        in4, classification_channels, FILTER_SIZE, FEATURE_STRIDE, feature_size,
        classification_block, initializer, optimizer, residual,
    )  # fmt: skip
    return DiMPNet(backbone, classifier, narrow_iou_net((in3, in4), box_channels), train_iterations)
