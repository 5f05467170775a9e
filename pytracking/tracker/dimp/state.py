"""What the DiMP tracker remembers of a video, sees of a frame, and finds in it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ltr.ops.sample_patch import Window
from pytracking.components.localize import Found
from pytracking.components.sample_memory import SampleMemory

Pair = tuple[float, float]


@dataclass
class Target:
    """Where the target is, in image pixels.

    Attributes:
        pos_yx: its centre; the centre of pixel 0 is 0.
        sz_hw: its size.
        scale: image pixels per crop pixel, by which the search region is chosen.
        refined_pos_yx: the centre of the last box that was refined.
    """

    pos_yx: Pair
    sz_hw: Pair
    scale: float
    refined_pos_yx: Pair | None = None

    @classmethod
    def from_box(cls, box_xywh: list[float], search_area_scale: float, side: int) -> Target:
        """A target that fills a box, searched for in a region of ``search_area_scale`` times its size."""
        x, y, w, h = box_xywh
        return cls((y + (h - 1) / 2, x + (w - 1) / 2), (h, w), math.sqrt(w * h) * search_area_scale / side)

    @property
    def box_xywh(self) -> list[float]:
        """``[x, y, w, h]``."""
        (y, x), (h, w) = self.pos_yx, self.sz_hw
        return [x - (w - 1) / 2, y - (h - 1) / 2, w, h]

    def offset_from(self, pos_yx: Pair) -> Pair:
        """From a place to the target, ``(y, x)``."""
        return self.pos_yx[0] - pos_yx[0], self.pos_yx[1] - pos_yx[1]

    def box_in_crop(self, offset_yx: tuple[Any, Any], scale: float, side: int) -> tuple[Any, Any, Any, Any]:
        """The target's box in a crop, as if it stood elsewhere.

        Args:
            offset_yx: from the crop's centre to the target's, image pixels; floats or tensors.
            scale: image pixels per crop pixel.
            side: of the crop in pixels.

        Returns:
            x, y, w, h in crop pixels; x and y of the offset's type.
        """
        h, w = self.sz_hw[0] / scale, self.sz_hw[1] / scale
        return offset_yx[1] / scale + (side - w) / 2, offset_yx[0] / scale + (side - h) / 2, w, h

    def bounds_yx(self, inside_ratio: float, image_sz_hw: tuple[int, int]) -> tuple[Pair, Pair]:
        """Lowest and highest y, lowest and highest x that leave a share of the target in the image."""
        (h, w), (height, width) = self.sz_hw, image_sz_hw
        reach = inside_ratio - 0.5
        return (reach * h, height - reach * h), (reach * w, width - reach * w)


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
