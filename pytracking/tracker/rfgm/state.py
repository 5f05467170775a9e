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
        frame_num: the first frame is 0.
        last_update: the frame of the last template.
    """

    box_xywh: list[float]
    image_size_hw: tuple[int, int]
    memory: Memory
    frame_num: int = 0
    last_update: int = 0
