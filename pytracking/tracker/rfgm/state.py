"""What the RFGM tracker remembers of a video."""

from __future__ import annotations

from dataclasses import dataclass

from pytracking.tracker.rfgm.memory import Memory


@dataclass
class RFGMState:
    """All that belongs to one video.

    Attributes:
        box_xywh: where the target was last, in image pixels.
        image_size_hw: of every frame.
        memory: what the encoder reads beside the search region.
        size_factors: what the head's widths and heights are multiplied with.
        frame_num: the first frame is 0.
        last_update: the frame of the last template.
    """

    box_xywh: list[float]
    image_size_hw: tuple[int, int]
    memory: Memory
    size_factors: tuple[float, float] = (1.0, 1.0)
    frame_num: int = 0
    last_update: int = 0
