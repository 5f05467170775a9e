"""What the DiMP tracker remembers of a video, sees of a frame, and finds in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ltr.ops.sample_patch import Window
from pytracking.components.localize import Found
from pytracking.components.sample_memory import SampleMemory
from pytracking.components.target import Pair, Target


@dataclass
class DiMPState:
    """All that belongs to one video.

    Attributes:
        target: see :class:`Target`.
        base_area: area of the first frame's target in crop pixels.
        image_sz_hw: of every frame.
        generator: draws what is random; on the CPU.
        target_filter: ``(1, C, k, k)``.
        modulation: two vectors ``(1, C, 1, 1)``, the target as the box branch knows it.
        memory: where the filter is trained on samples of other frames too.
        frame_num: the first frame is 1.
    """

    target: Target
    base_area: float
    image_sz_hw: tuple[int, int]
    generator: torch.Generator
    target_filter: Tensor
    modulation: tuple[Tensor, Tensor]
    memory: SampleMemory | None
    frame_num: int = 1


@dataclass
class View:
    """What the net sees of one frame.

    Attributes:
        window: where the crop lies in the image.
        scale: image pixels per crop pixel.
        maps: of the backbone, in the precision asked for.
        features: ``(1, C, h, w)`` fp32 classification features.
    """

    window: Window
    scale: float
    maps: dict[str, Tensor]
    features: Tensor


@dataclass
class Finding:
    """What one frame's scores and boxes say, on the host; no boxes where the target was not found.

    Attributes:
        flag: the verdict.
        score: the highest one.
        translation_yx: from the crop's centre to the target's in image pixels.
        start_boxes_xywh, boxes_xywh: ``(N, 4)`` in crop pixels, before and after refinement.
        overlaps: ``(N,)`` predicted before the last step of refinement.
    """

    flag: Found
    score: float
    translation_yx: Pair
    start_boxes_xywh: np.ndarray
    boxes_xywh: np.ndarray
    overlaps: np.ndarray
