"""DCFST: "Learning Feature Embeddings for Discriminant Model based Tracking" (Zheng et al., ECCV 2020).

The builders make DCFST-18 and DCFST-50 with the entries of the published checkpoints, and a small net for CPUs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ltr.models.backbone.resnet import ResNet, resnet18, resnet50
from ltr.models.bbreg.box_branch import BoxBranchNet
from ltr.models.bbreg.iou_net import AtomIoUNet, narrow_iou_net
from ltr.models.counting import image_like
from ltr.models.official import OfficialNet
from ltr.models.registry import NetSpec
from ltr.models.target_locator.location_predictor import LocationPredictor, normalise
from ltr.ops.proposal_grid import GRID_SIZE, SEARCH_AREA_SCALE, grid_centres
from ltr.ops.ridge import ridge_regression

BUILDERS = ("dcfst18", "dcfst50", "dcfst18_small")

CROP = 288  # pixels of a search region's side in the paper
OFFICIAL = {
    "SBDT_resnet18": OfficialNet(NetSpec("dcfst18")),
    "SBDT_resnet50": OfficialNet(NetSpec("dcfst50")),
}


class DCFSTOutput(NamedTuple):
    """What the net gives in training.

    Attributes:
        scores: ``(B, N + 1)`` of the proposals in the test images, the target's box last; they shall be the labels.
        iou: ``(B, P)`` predicted overlaps, trained with ``2 IoU - 1``.
    """

    scores: Tensor
    iou: Tensor


class DCFSTNet(BoxBranchNet):
    """Backbone, box branch and features of proposals, with the ridge regression that learns a model of the target.

    Images are normalised RGB, boxes ``[x, y, w, h]`` in pixels of the crop. B counts images, N proposals, D features.

    Args:
        feature_extractor: the backbone, with ``layer2`` and ``layer3``.
        bb_regressor: on ``layer2`` and ``layer3``.
        location_predictor: on ``layer2`` and ``layer3``.
        grid_size: proposals along a side, ``N = grid_size ** 2``.
        search_area_scale: side of the crop in units of ``sqrt(w * h)`` of the target.
        regularization: lambda of Eq. 1.
    """

    def __init__(
        self,
        feature_extractor: ResNet,
        bb_regressor: AtomIoUNet,
        location_predictor: LocationPredictor,
        grid_size: int = GRID_SIZE,
        search_area_scale: float = SEARCH_AREA_SCALE,
        regularization: float = 0.1,
    ) -> None:
        super().__init__()
        grid_centres(1.0, search_area_scale, grid_size)  # refuses a grid that is none
        self.feature_extractor = feature_extractor
        self.bb_regressor = bb_regressor
        self.location_predictor = location_predictor
        self.grid_size = grid_size
        self.search_area_scale = search_area_scale
        self.regularization = regularization

    def roi_features(
        self,
        maps: dict[str, Tensor],
        target_sz_wh: Tensor,
        side: float,
        extra_boxes_xywh: Tensor | None = None,
    ) -> Tensor:
        """Normalised features of the proposals, X or Z of the paper.

        Args:
            maps: of :meth:`backbone`, B images.
            target_sz_wh: ``(B, 2)`` size of the target, which is that of the proposals.
            side: of the crop in pixels, for the grid.
            extra_boxes_xywh: ``(B, E, 4)`` further boxes.

        Returns:
            ``(B, N + E, D)`` float32: the grid, x fastest, then the further boxes. Every feature has the mean square 1
            over the boxes of an image, so that it depends on which boxes there are.
        """
        levels = self.location_predictor.maps(maps["layer2"], maps["layer3"])
        centres = grid_centres(
            side, self.search_area_scale, self.grid_size, dtype=target_sz_wh.dtype, device=target_sz_wh.device
        )
        return normalise(self.location_predictor.embed(levels, centres, target_sz_wh, extra_boxes_xywh))

    def solve(self, features: Tensor, labels: Tensor) -> Tensor:
        """``(B, N, D)`` features and ``(B, N)`` labels to models ``(B, D)``, Eq. 2 or 3; differentiable."""
        return ridge_regression(features, labels, self.regularization)

    def score(self, model: Tensor, features: Tensor) -> Tensor:
        """Models ``(B, D)`` and features ``(B, N, D)`` to scores ``(B, N)``."""
        return (features @ model[..., None])[..., 0]

    def frame_pass(self) -> str:
        """Runs, on zeros, the layers that a tracker runs for every frame; returns what that is (for ``ltr-info``)."""
        maps = self.backbone(image_like(self, 1, 3, CROP, CROP))
        self.iou_features(maps)
        self.roi_features(maps, image_like(self, 1, 2) + CROP / self.search_area_scale, CROP)
        boxes = f"{self.grid_size**2} proposals"
        return f"the features of one search region of {CROP} pixels and {boxes}; rating boxes is not in it"

    def forward(
        self,
        train_images: Tensor,
        test_images: Tensor,
        train_boxes: Tensor,
        test_boxes: Tensor,
        train_labels: Tensor,
        test_target_boxes: Tensor,
        test_proposals: Tensor,
    ) -> DCFSTOutput:
        """Trains on pairs of images: a model from the train image, scores and overlaps on the test image.

        Args:
            train_images: ``(B, 3, H, H)``.
            test_images: ``(B, 3, H, H)``.
            train_boxes: ``(B, 4)`` targets of the train images; they are their own last proposal.
            test_boxes: ``(B, 4)`` boxes whose size the proposals of the test images have.
            train_labels: ``(B, N + 1)``, that of the target's own box last.
            test_target_boxes: ``(B, 4)`` targets of the test images, their last proposal.
            test_proposals: ``(B, P, 4)`` boxes to rate.

        Raises:
            ValueError: images that are not square, or labels of another number of proposals.
        """
        side = train_images.shape[-1]
        if {*train_images.shape[-2:], *test_images.shape[-2:]} != {side}:
            shapes = [tuple(images.shape) for images in (train_images, test_images)]
            raise ValueError(f"images must be square and of one size, not {shapes[0]} and {shapes[1]}")
        if train_labels.shape[-1] != self.grid_size**2 + 1:
            raise ValueError(
                f"train_labels are of {train_labels.shape[-1]} proposals, but a grid of {self.grid_size} has "
                f"{self.grid_size**2}, and the target's own box is one more"
            )
        train, test = self.backbone(train_images), self.backbone(test_images)
        levels = self.iou_features(test)
        train_features = self.roi_features(train, train_boxes[:, 2:], side, train_boxes[:, None])
        test_features = self.roi_features(test, test_boxes[:, 2:], side, test_target_boxes[:, None])
        # Under autocast the maps may be half; solving, box coordinates and pooling need more.
        with torch.autocast(train_images.device.type, enabled=False):
            scores = self.score(self.solve(train_features, train_labels), test_features)
            iou = self.predict_iou(self.iou_modulation(train, train_boxes), levels, test_proposals)
        return DCFSTOutput(scores, iou)


def prepare_for_tracking(net: DCFSTNet, dtype: torch.dtype = torch.float32, boxes: int = 10) -> DCFSTNet:
    """Changes a net, in place, into the fastest form for tracking where it is: same interface, same numbers.

    It cannot be trained or saved any more, and belongs to the device on which it was prepared.

    Args:
        net: on its device.
        dtype: of what is computed for every frame's image, float32, bfloat16 or float16; models and boxes are computed
            in float32 at least, and all results are float32 but for the backbone's maps.
        boxes: number of boxes that are rated at once, for the layout of the box branch's weights; any other works.

    Returns:
        the net.
    """
    locator = net.location_predictor
    convolutions = tuple(child for name, child in locator.named_children() if name.startswith("conv"))
    net.prepare_parts(convolutions, dtype, boxes)
    locator.prepare(dtype)
    return net


def dcfst18(
    grid_size: int = GRID_SIZE,
    search_area_scale: float = SEARCH_AREA_SCALE,
    regularization: float = 0.1,
    embedding: Sequence[int] = (512, 512),
    depth: int = 2,
    backbone_head: bool = True,
) -> DCFSTNet:
    """Builds DCFST with a ResNet-18.

    Args:
        grid_size: proposals along a side: 19, 25, 31 or 37 in the paper's Table 1.
        search_area_scale: side of the crop in units of ``sqrt(w * h)`` of the target.
        regularization: lambda of Eq. 1.
        embedding: features of a proposal from each of the two levels.
        depth: convolutions on each level.
        backbone_head: whether the unused ``layer4`` and ``fc`` exist, as they do in the published files.
    """
    locator = LocationPredictor((128, 256), depth=depth, embedding=_pair(embedding))
    backbone = resnet18(with_head=backbone_head)
    return DCFSTNet(backbone, AtomIoUNet((128, 256)), locator, grid_size, search_area_scale, regularization)


def dcfst50(
    grid_size: int = GRID_SIZE,
    search_area_scale: float = SEARCH_AREA_SCALE,
    regularization: float = 0.1,
    embedding: Sequence[int] = (512, 512),
    depth: int = 4,
    backbone_head: bool = True,
) -> DCFSTNet:
    """Builds DCFST with a ResNet-50; see :func:`dcfst18` for the arguments."""
    locator = LocationPredictor((512, 1024), depth=depth, embedding=_pair(embedding))
    backbone = resnet50(with_head=backbone_head)
    return DCFSTNet(backbone, AtomIoUNet((512, 1024)), locator, grid_size, search_area_scale, regularization)


def dcfst18_small(
    width: float = 0.5,
    box_channels: int = 128,
    location_channels: Sequence[int] = (32, 64),
    embedding: Sequence[int] = (128, 128),
    depth: int = 2,
    grid_size: int = 25,
    search_area_scale: float = SEARCH_AREA_SCALE,
    regularization: float = 0.1,
) -> DCFSTNet:
    """Builds a DCFST of the same structure that a CPU can train; backbone and box branch are those of `dimp18_small`.

    Args:
        width: multiplies the channels of the ResNet-18.
        box_channels: channels of the box branch, 256 in DCFST.
        location_channels: channels of the convolutions on the two levels, 128 and 256 in DCFST.
        embedding: as for :func:`dcfst18`, as are the arguments behind it.
    """
    backbone = resnet18(width)
    channels = (backbone.channels["layer2"], backbone.channels["layer3"])
    locator = LocationPredictor(channels, _pair(location_channels), depth, embedding=_pair(embedding))
    boxes = narrow_iou_net(channels, box_channels)
    return DCFSTNet(backbone, boxes, locator, grid_size, search_area_scale, regularization)


def _pair(values: Sequence[int]) -> tuple[int, int]:
    first, second = values
    return first, second
