"""What the training sampler needs of a set of videos: boxes of a sequence, and some of its frames."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class SequenceInfo:
    """The annotation of one sequence of F frames.

    Attributes:
        boxes: (F, 4) float32, target boxes `[x, y, w, h]` in pixels, 0-based, top-left corner; the full
            extent of the target, also where it is hidden or outside the image.
        visible: (F,) bool, False where the frame is of no use for training (target hidden or out of view).
        name: a name for messages.
    """

    boxes: np.ndarray
    visible: np.ndarray
    name: str


class VideoDataset(ABC):
    """Videos with one annotated target each. Torch-free; instances must survive pickling to worker processes."""

    name: str = "videos"

    @abstractmethod
    def __len__(self) -> int:
        """Number of sequences."""

    @abstractmethod
    def sequence_info(self, seq_id: int) -> SequenceInfo:
        """Annotation of sequence `seq_id` in 0..len-1.

        Raises:
            IndexError: `seq_id` is out of range.
        """

    @abstractmethod
    def frames(self, seq_id: int, frame_ids: Sequence[int]) -> list[np.ndarray]:
        """The frames asked for, each (H, W, 3) uint8 RGB, in the order of `frame_ids`.

        Raises:
            IndexError: `seq_id` or a frame id is out of range.
        """
