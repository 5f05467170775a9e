"""What the generated data sets share: scenes by index, drawn when asked for."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import numpy as np

from ltr.admin.seeding import rng_for
from ltr.dataset.base import SequenceInfo, VideoDataset
from ltr.dataset.rendering.difficulty import Difficulty
from ltr.dataset.rendering.director import Director
from ltr.dataset.rendering.material import Material
from ltr.dataset.rendering.scene import Scene

_SCENES_KEPT = 4  # a sampler asks for the boxes of a sequence first, then for some of its frames


class GeneratedVideos(VideoDataset):
    """Videos that are computed: every frame depends on (seed, sequence, frame) alone.

    Args:
        name: of the data set; part of the seed.
        material: supplies the pictures.
        num_sequences: length of the data set.
        num_frames: F, frames per sequence.
        size: height and width of the frames in pixels.
        seed: another seed gives other videos.
        difficulty: how hard they are.

    Raises:
        ValueError: a number out of range.
    """

    def __init__(
        self,
        name: str,
        material: Material,
        num_sequences: int,
        num_frames: int,
        size: tuple[int, int],
        seed: int,
        difficulty: Difficulty,
    ) -> None:
        if num_sequences < 1 or num_frames < 1:
            raise ValueError(f"num_sequences and num_frames must be positive, not {num_sequences} and {num_frames}")
        if min(size) < 64 or max(size) > 4096:
            raise ValueError(f"size (height, width) must be within 64..4096 pixels, not {size}")
        if seed < 0:
            raise ValueError(f"seed must not be negative, not {seed}")
        self.name, self.material, self.difficulty = name, material, difficulty
        self.num_sequences, self.num_frames, self.size, self.seed = num_sequences, num_frames, size, seed
        self._scenes: OrderedDict[int, tuple[Scene, SequenceInfo]] = OrderedDict()

    def __len__(self) -> int:
        return self.num_sequences

    def __getstate__(self) -> dict[str, object]:
        """Worker processes start without scenes."""
        return {**self.__dict__, "_scenes": OrderedDict()}

    def scene(self, seq_id: int) -> Scene:
        """The scene of one sequence; a few are kept."""
        return self._entry(seq_id)[0]

    def sequence_info(self, seq_id: int) -> SequenceInfo:
        """See `VideoDataset.sequence_info`."""
        return self._entry(seq_id)[1]

    def frames(self, seq_id: int, frame_ids: Sequence[int]) -> list[np.ndarray]:
        """See `VideoDataset.frames`."""
        scene = self.scene(seq_id)
        for frame in frame_ids:
            if not 0 <= frame < self.num_frames:
                raise IndexError(f"{self.name}: frame {frame} of sequence {seq_id}, which has {self.num_frames}")
        return [scene.draw(int(frame), rng_for(self.name, self.seed, seq_id, int(frame))) for frame in frame_ids]

    def _entry(self, seq_id: int) -> tuple[Scene, SequenceInfo]:
        seq_id = int(seq_id)
        if not 0 <= seq_id < self.num_sequences:
            raise IndexError(f"{self.name}: sequence {seq_id} of {self.num_sequences}")
        if seq_id in self._scenes:
            self._scenes.move_to_end(seq_id)
        else:
            rng = rng_for(self.name, self.seed, seq_id)
            director = Director(self.material, rng, self.num_frames, self.size, self.difficulty)
            scene = director.scene(f"{self.name}_{seq_id:06d}")
            self._scenes[seq_id] = (scene, scene.info())
            if len(self._scenes) > _SCENES_KEPT:
                self._scenes.popitem(last=False)
        return self._scenes[seq_id]
