"""Generated sequences that need no files: moving, deforming, occluded objects with exact ground truth.

Made by `ltr.dataset.synthetic_video`; the seed is one that no training setting uses, so a tracker trained
on such videos has not seen these.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ltr.dataset.base import VideoDataset
from ltr.dataset.synthetic_video import SyntheticVideo
from pytracking.evaluation.sequence import Sequence, SequenceList

PATH_KEY = None

NUM_SEQUENCES = 6
NUM_FRAMES = 60
SIZE = (240, 320)  # height, width
SEED = 20_240_131


class VideoDatasetSource:
    """The frames of one sequence of a training data set; a FrameSource."""

    def __init__(self, dataset: VideoDataset, seq_id: int, n_frames: int) -> None:
        """Frames are made when they are read, the same ones in every process."""
        self._dataset, self._seq_id, self._n_frames = dataset, seq_id, n_frames

    def __len__(self) -> int:
        """Number of frames."""
        return self._n_frames

    def read(self, index: int) -> np.ndarray:
        """Frame `index` as (H, W, 3) uint8 RGB."""
        return self._dataset.frames(self._seq_id, [index])[0]


def load(path: Path | None) -> SequenceList:
    """The generated sequences; the path is not used."""
    dataset = SyntheticVideo(num_sequences=NUM_SEQUENCES, num_frames=NUM_FRAMES, size=SIZE, seed=SEED)
    sequences = SequenceList()
    for seq_id in range(len(dataset)):
        info = dataset.sequence_info(seq_id)
        source = VideoDatasetSource(dataset, seq_id, len(info.boxes))
        sequences.append(
            Sequence(f"synthetic{seq_id + 1}", source, info.boxes, "synthetic", target_visible=info.visible)
        )
    return sequences
