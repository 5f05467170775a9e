"""What the DCFST tracker remembers of a video, sees of a frame, and finds in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pytracking.components.target import Pair, Target
from pytracking.tracker.dcfst.model import TargetModel


@dataclass
class DCFSTState:
    """All that belongs to one video.

    Attributes:
        target: see :class:`Target`.
        first_sz_hw: size of the first frame's target in image pixels.
        image_sz_hw: of every frame.
        generator: draws what is random; on the CPU.
        model: scores proposals.
        modulation: two vectors ``(1, C, 1, 1)``, the target as the box branch knows it.
        frame_num: the first frame is 1.
    """

    target: Target
    first_sz_hw: Pair
    image_sz_hw: tuple[int, int]
    generator: torch.Generator
    model: TargetModel
    modulation: tuple[Tensor, Tensor]
    frame_num: int = 1


@dataclass
class View:
    """What the net sees of one frame around a target.

    Attributes:
        pos_yx: what stands for the middle of the crop, in image pixels.
        scale: image pixels per crop pixel.
        corners: ``(top, left, bottom, right)`` of the crop in image pixels.
        maps: of the backbone, in the precision asked for.
        features: ``(N, D)`` of the proposals, fp32.
    """

    pos_yx: Pair
    scale: float
    corners: tuple[float, float, float, float]
    maps: dict[str, Tensor]
    features: Tensor


@dataclass
class Finding:
    """What one frame's scores and boxes say, on the host; no boxes where the target was not found.

    Attributes:
        score: the highest one, after the window.
        translation_yx: from the crop's middle to the best proposal's in image pixels.
        start_boxes_xywh, boxes_xywh: ``(K, 4)`` in crop pixels, before and after refinement.
        overlaps: ``(K,)`` predicted before the last step of refinement.
    """

    score: float
    translation_yx: Pair
    start_boxes_xywh: np.ndarray
    boxes_xywh: np.ndarray
    overlaps: np.ndarray


@dataclass
class Lesson:
    """What a frame teaches.

    Attributes:
        features: ``(N, D)`` of its proposals.
        labels: ``(N,)``.
        away: ``(N,)`` bool, the proposals that are too far from the target to be it.
    """

    features: Tensor
    labels: Tensor
    away: Tensor
