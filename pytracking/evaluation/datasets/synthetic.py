"""Generated sequences that need no files, each with one difficulty more than a plain moving object.

Made by `ltr.dataset.synthetic_video` from a seed of their own; their ground truth is exact.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from ltr.dataset.base import SequenceInfo, VideoDataset
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
_DIFFICULTIES = {
    "distractors": replace(_PLAIN, distractors=3),
    "motion": replace(_PLAIN, speed=(0.1, 0.15)),
    "occlusion": replace(_PLAIN, occluders=1.5),
    "rotation": replace(_PLAIN, turn=1.0, deformation=0.7),
    "scale": replace(_PLAIN, scale_change=0.5),
    "walker": replace(_PLAIN, walker=1.0, distractors=1),
}
_SCENES_EACH = 100  # numbers reserved for a difficulty, so that each plays before another background
_MIN_VISIBLE = 0.7  # share of the frames in which the target can be seen


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
    for number, (name, difficulty) in enumerate(_DIFFICULTIES.items()):
        scenes = range(number * _SCENES_EACH, (number + 1) * _SCENES_EACH)
        videos = SyntheticVideo(scenes.stop, NUM_FRAMES, SIZE, SEED, difficulty)
        scene = next(scene for scene in scenes if _can_be_tracked(videos.sequence_info(scene)))
        info = videos.sequence_info(scene)
        sequences.append(
            Sequence(
                f"synthetic_{name}",
                VideoDatasetSource(videos, scene, NUM_FRAMES),
                info.boxes,
                "synthetic",
                target_visible=info.visible,
                attributes=[name],
            )
        )
    return sequences


def _can_be_tracked(info: SequenceInfo) -> bool:
    """Whether the target is whole in the first frame, and can be seen in most: scenes for training need not be so."""
    x, y, width, height = info.boxes[0]
    inside = x >= 0 and y >= 0 and x + width <= SIZE[1] and y + height <= SIZE[0]
    return bool(inside and info.visible[:5].all() and info.visible.mean() >= _MIN_VISIBLE)
