"""The data set of synthetic videos."""

from __future__ import annotations

from ltr.dataset.generated import GeneratedVideos
from ltr.dataset.registry import check_split
from ltr.dataset.rendering.difficulty import Difficulty
from ltr.dataset.synthetic_video.material import ProceduralMaterial

# Painted backgrounds repeat themselves: a piece of one is often no target that could be told from its surroundings.
_DEFAULT = Difficulty(in_place=0.1, look=0.7)


def open_split(split: str) -> SyntheticVideo:
    """Different videos for "train" and "val"."""
    check_split("synthetic_video", split, ("train", "val"))
    return SyntheticVideo(num_sequences=100_000, seed=0) if split == "train" else SyntheticVideo(500, seed=1)


class SyntheticVideo(GeneratedVideos):
    """Painted objects, faces and walking figures that move through painted landscapes, streets and clutter.

    Same motion, deformation, distractors, occlusion and camera faults as `AnimatedStills`, with pictures that
    are computed too; also the evaluation data set `synthetic` and the demo. A frame depends on
    (seed, sequence, frame) alone.

    Args:
        num_sequences: length of the data set.
        num_frames: frames per sequence.
        size: height and width of the frames in pixels.
        seed: other seeds give other videos.
        difficulty: how hard they are.

    Raises:
        ValueError: a number out of range.
    """

    def __init__(
        self,
        num_sequences: int = 10_000,
        num_frames: int = 60,
        size: tuple[int, int] = (270, 360),
        seed: int = 0,
        difficulty: Difficulty | None = None,
    ) -> None:
        super().__init__(
            "synthetic_video", ProceduralMaterial(), num_sequences, num_frames, size, seed, difficulty or _DEFAULT
        )
