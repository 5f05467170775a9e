"""What nets compute for every frame that is tracked, for counting it."""

from __future__ import annotations

from functools import singledispatch

from torch import nn

from ltr.admin.errors import UserError
from ltr.models.counting import image_like
from ltr.models.tracking.dcfst import DCFSTNet
from ltr.models.tracking.dimp import DiMPNet
from ltr.models.tracking.edcf import EDCFNet
from ltr.models.tracking.rfgm import RFGMNet

CROP, CROP_EDCF = 288, 255  # pixels of a search region's side in the trackers' parameters
TEMPLATE_EDGE = 128.0  # pixels of a target in that region; the numbers do not depend on it


@singledispatch
def frame_pass(net: nn.Module) -> str:
    """Runs, on zeros, the layers that a tracker runs for every frame; returns what that is.

    Modules of nets in other packages register theirs with ``@frame_pass.register``.

    Raises:
        UserError: It is not known for this class of nets.
    """
    raise UserError(
        f"what {type(net).__name__} computes for a frame is not known: register it with ltr.models.frame_pass"
    )


@frame_pass.register
def _edcf(net: EDCFNet) -> str:
    conv1 = net.encode(image_like(net, 1, 3, CROP_EDCF, CROP_EDCF))
    if net.fine_kind is not None:
        net.fine_features(conv1)
    if net.has_semantic:
        net.semantic_features(conv1)
    return f"the features of one search region of {CROP_EDCF} pixels"


@frame_pass.register
def _dimp(net: DiMPNet) -> str:
    maps = net.backbone(image_like(net, 1, 3, CROP, CROP))
    net.classification_features(maps["layer3"])
    net.iou_features(maps)
    return f"the features of one search region of {CROP} pixels; rating boxes and updating the filter are not in it"


@frame_pass.register
def _dcfst(net: DCFSTNet) -> str:
    maps = net.backbone(image_like(net, 1, 3, CROP, CROP))
    net.iou_features(maps)
    net.roi_features(maps, image_like(net, 1, 2) + TEMPLATE_EDGE, CROP)
    proposals = net.grid_size**2
    return f"the features of one search region of {CROP} pixels and {proposals} proposals; rating boxes is not in it"


@frame_pass.register
def _rfgm(net: RFGMNet) -> str:
    frames = max(1, net.memory_tokens // net.template_tokens)
    side, size = net.template_size, net.search_size
    net(image_like(net, 1, frames, 3, side, side), image_like(net, 1, 3, size, size))
    return f"one search region of {size} pixels with {frames} templates of {side}, all embedded anew"
