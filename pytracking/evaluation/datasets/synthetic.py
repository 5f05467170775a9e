"""Generated sequences that need no files, each with one difficulty more than a plain moving object.

Made by `ltr.dataset.synthetic_video` from a seed of their own; their ground truth is exact.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from ltr.dataset.base import VideoDataset
from ltr.dataset.rendering.difficulty import Difficulty
from ltr.dataset.synthetic_video import SyntheticVideo
from pytracking.evaluation.sequence import Sequence, SequenceList

PATH_KEY = None

NUM_FRAMES = 50
SIZE = (180, 240)  # height, width
SEED = 20_240_131

_PLAIN = Difficulty(
    target_side=(30, 60),
    speed=(0.04, 0.07),
    turn=0.3,
    scale_change=0.15,
    deformation=0.2,
    look=0.3,
    in_place=0,
    walker=0,
    distractors=0,
    occluders=0,
    leave_frame=0,
)
# Name -> its difficulty, and the number of the scene: each plays before another background.
_SCENES = {
    "distractors": (replace(_PLAIN, distractors=3), 0),
    "motion": (replace(_PLAIN, speed=(0.1, 0.15)), 3),
    "occlusion": (replace(_PLAIN, occluders=1.5), 4),
    "rotation": (replace(_PLAIN, turn=1.0, deformation=0.7), 1),
    "scale": (replace(_PLAIN, scale_change=0.5), 2),
    "walker": (replace(_PLAIN, walker=1.0, distractors=1), 5),
}


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
    """The generated sequences, `synthetic_<difficulty>`; the path is not used."""
    sequences = SequenceList()
    for name, (difficulty, scene) in _SCENES.items():
        videos = SyntheticVideo(scene + 1, NUM_FRAMES, SIZE, SEED, difficulty)
        info = videos.sequence_info(scene)
        source = VideoDatasetSource(videos, scene, NUM_FRAMES)
        sequences.append(
            Sequence(
                f"synthetic_{name}",
                source,
                info.boxes,
                "synthetic",
                target_visible=info.visible,
                attributes=[name],
            )
        )
    return sequences
