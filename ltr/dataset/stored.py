"""What the data sets on disk share: sequences by number, whose annotations and images are read when asked for."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import numpy as np

from ltr.admin.errors import UserError
from ltr.data.image_io import read_image
from ltr.dataset.base import SequenceInfo, VideoDataset

logger = logging.getLogger(__name__)

_SHOWN = 5

FrameFile = Callable[[int], Path]


class StoredVideos(VideoDataset):
    """Videos with one image file per frame.

    Args:
        name: of the data set, for messages.
        count: number of sequences.
    """

    def __init__(self, name: str, count: int) -> None:
        self.name = name
        self._count = count
        self._last: tuple[int, SequenceInfo, FrameFile] | None = None  # a sampler asks for boxes first, then frames

    def __len__(self) -> int:
        return self._count

    def __getstate__(self) -> dict[str, object]:
        """Worker processes start without the last sequence, whose function of files cannot travel."""
        return {**self.__dict__, "_last": None}

    def sequence_info(self, seq_id: int) -> SequenceInfo:
        """See `VideoDataset.sequence_info`.

        Raises:
            UserError: an annotation is missing or damaged.
        """
        return self._opened(seq_id)[0]

    def frames(self, seq_id: int, frame_ids: Sequence[int]) -> list[np.ndarray]:
        """See `VideoDataset.frames`; a frame that is asked for twice is one array.

        Raises:
            UserError: an image is missing or damaged.
        """
        info, frame_file = self._opened(seq_id)
        for frame in frame_ids:
            if not 0 <= frame < len(info.visible):
                raise IndexError(f"{self.name}: frame {frame} of sequence {seq_id}, which has {len(info.visible)}")
        images = {int(frame): read_image(frame_file(int(frame))) for frame in dict.fromkeys(frame_ids)}
        return [images[int(frame)] for frame in frame_ids]

    @abstractmethod
    def _open(self, seq_id: int) -> tuple[SequenceInfo, FrameFile]:
        """Reads the annotation of a sequence, and says in which file a frame is."""

    def _opened(self, seq_id: int) -> tuple[SequenceInfo, FrameFile]:
        if not 0 <= seq_id < self._count:
            raise IndexError(f"{self.name}: sequence {seq_id} of {self._count}")
        if self._last is None or self._last[0] != seq_id:
            self._last = (int(seq_id), *self._open(int(seq_id)))
        return self._last[1:]


def stored_info(name: str, boxes: np.ndarray, *flags: tuple[np.ndarray, Path]) -> SequenceInfo:
    """The annotation of a sequence: visible where the box has an area and all flags are up.

    Args:
        name: of the sequence.
        boxes: (F, 4) boxes `[x, y, w, h]`, NaN where not annotated.
        *flags: (F,) bool, True where the target can be seen, and the file they come from.

    Raises:
        UserError: a file has flags for more or fewer frames than there are boxes.
    """
    visible = (boxes[:, 2] > 0) & (boxes[:, 3] > 0)  # false for NaN
    for flag, path in flags:
        if len(flag) != len(boxes):
            raise UserError(f"{path} is about {len(flag)} frames, but there are boxes of {len(boxes)}")
        visible &= flag
    return SequenceInfo(boxes.astype(np.float32), visible, name)


def those_there(title: str, key: str, wanted: Sequence[str], found: Collection[str], root: Path) -> list[str]:
    """The sequences that are on disk; missing ones are counted in the log.

    Args:
        title: of the data set.
        key: its folder's in `local.toml`.
        wanted: names of the sequences of the split.
        found: names on disk.
        root: where they were looked for.

    Raises:
        UserError: none of them is there.
    """
    there = [name for name in wanted if name in found]
    if not there:
        raise UserError(
            f"{title}: none of its {len(wanted)} sequences, such as {wanted[0]}, is in {root}: unpack them there, or "
            f"correct {key} under [datasets] in local.toml"
        )
    if len(there) < len(wanted):
        missing = [name for name in wanted if name not in found]
        logger.warning(
            "%s: %d of %d sequences are missing in %s and left out: %s%s",
            title,
            len(missing),
            len(wanted),
            root,
            ", ".join(missing[:_SHOWN]),
            ", ..." if len(missing) > _SHOWN else "",
        )
    return there
