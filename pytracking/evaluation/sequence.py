"""What a tracker is run on: annotated sequences and lists of them. Knows no tracker and no torch."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from os import PathLike
from pathlib import Path
from typing import Protocol, SupportsIndex, overload, runtime_checkable

import numpy as np

from ltr.admin.errors import UserError, unknown_name
from ltr.data.image_io import as_rgb_uint8, read_image
from pytracking.api import InitInfo

logger = logging.getLogger(__name__)


@runtime_checkable
class FrameSource(Protocol):
    """Frames that are not image files (a video, a generator). Must be picklable: workers get copies."""

    def __len__(self) -> int:
        """Number of frames."""
        ...

    def read(self, index: int) -> np.ndarray:
        """Frame `index` (0-based) as (H, W, 3) uint8 RGB; UserError if it cannot be had."""
        ...


class Sequence:
    """One annotated video.

    Attributes:
        name: Unique within its data set; also the name of its result file.
        frames: Image paths in order, or a FrameSource.
        ground_truth_rect: (N, 4) float64 `[x, y, w, h]` in pixels, top-left corner, in the benchmark's
            own origin; NaN where a frame is not annotated. N is the number of frames.
        dataset: Name of the data set.
        target_visible: (N,) bool, or None where the data set does not say.
        object_class: The target's class name, or None.
        attributes: The benchmark's attribute tags, e.g. ("occlusion", "scale variation").
    """

    def __init__(
        self,
        name: str,
        frames: Iterable[str | PathLike[str]] | FrameSource,
        ground_truth_rect: np.ndarray,
        dataset: str,
        *,
        target_visible: np.ndarray | None = None,
        object_class: str | None = None,
        attributes: Iterable[str] = (),
    ) -> None:
        """Check the parts against each other.

        Raises:
            UserError: No frames, a ground truth of another length or shape, or a first box that is
                missing or has no area.
        """
        self.name = name
        self.dataset = dataset
        self.object_class = object_class
        self.attributes = tuple(attributes)
        self.frames: list[Path] | FrameSource
        # A FrameSource is recognised by `read`: every list of paths has a length too.
        self.frames = frames if isinstance(frames, FrameSource) else [Path(frame) for frame in frames]
        self.ground_truth_rect = np.asarray(ground_truth_rect, dtype=np.float64)
        self.target_visible = None if target_visible is None else np.asarray(target_visible, dtype=bool)
        self._check()

    def _check(self) -> None:
        if len(self) == 0:
            raise UserError(f"sequence {self.name!r} has no frames")
        if self.ground_truth_rect.shape != (len(self), 4):
            raise UserError(
                f"sequence {self.name!r}: ground truth of shape {self.ground_truth_rect.shape}, expected "
                f"({len(self)}, 4): one row per frame, NaN where a frame has no annotation"
            )
        if self.target_visible is not None and self.target_visible.shape != (len(self),):
            raise UserError(
                f"sequence {self.name!r}: {self.target_visible.shape} visibility flags for {len(self)} frames"
            )
        first = self.ground_truth_rect[0]
        if not np.isfinite(first).all() or (first[2:] <= 0).any():
            raise UserError(
                f"sequence {self.name!r}: the first frame's box is {first.tolist()}; a tracker is started "
                "there, so it must be annotated and have an area (drop the frames and lines before)"
            )

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.frames)

    def __repr__(self) -> str:
        return f"Sequence({self.dataset}/{self.name}, {len(self)} frames)"

    def image(self, index: int) -> np.ndarray:
        """Frame `index` (0-based) as (H, W, 3) uint8 RGB.

        Raises:
            UserError: The frame cannot be read (the message names sequence and file).
        """
        what = f"frame {index} of sequence {self.name!r}"
        try:
            if isinstance(self.frames, list):
                return read_image(self.frames[index])
            return as_rgb_uint8(self.frames.read(index), what)
        except UserError as error:
            raise UserError(f"{what}: {error}") from error

    def init_bbox(self) -> list[float]:
        """The first frame's box `[x, y, w, h]`."""
        return [float(value) for value in self.ground_truth_rect[0]]

    def init_info(self) -> InitInfo:
        """What a tracker is told on the first frame."""
        return {"init_bbox": self.init_bbox()}


class SequenceList(list[Sequence]):
    """Sequences in order; `sequences["Girl"]` looks a name up."""

    @overload
    def __getitem__(self, key: SupportsIndex | str) -> Sequence: ...
    @overload
    def __getitem__(self, key: slice) -> SequenceList: ...
    def __getitem__(self, key: SupportsIndex | str | slice) -> Sequence | SequenceList:
        """By position, by name (UsageError with near misses if there is none), or a slice."""
        if isinstance(key, str):
            for sequence in self:
                if sequence.name == key:
                    return sequence
            raise unknown_name("sequence", key, [sequence.name for sequence in self])
        if isinstance(key, slice):
            return SequenceList(super().__getitem__(key))
        return super().__getitem__(key)

    def __add__(self, other: list[Sequence]) -> SequenceList:  # type: ignore[override]
        return SequenceList([*self, *other])

    def select(self, name_or_index: str) -> SequenceList:
        """The list of the one sequence of that name or, where no name matches, that 0-based index.

        Raises:
            UsageError: There is no such sequence (near misses are shown).
        """
        names = {sequence.name for sequence in self}
        if name_or_index not in names and name_or_index.isdecimal():
            index = int(name_or_index)
            if index < len(self):
                return SequenceList([self[index]])
            hint = f"indices run from 0 to {len(self) - 1}"
            raise unknown_name("sequence", name_or_index, sorted(names), hint=hint)
        return SequenceList([self[name_or_index]])


def fit_ground_truth(boxes: np.ndarray, n_frames: int, where: str | PathLike[str]) -> np.ndarray:
    """Bring annotations to one row per frame; line k belongs to frame k.

    Fewer lines than frames are completed with NaN (not annotated), with one warning: the sequence can
    still be tracked. More lines than frames are an error: images are missing, and nobody knows whether
    at the end, so every box could belong to another frame.

    Args:
        boxes: (N, 4) boxes as read.
        n_frames: Number of frames on disk.
        where: The annotation file, for the message.

    Returns:
        (n_frames, 4) float64.

    Raises:
        UserError: More boxes than frames.
    """
    if len(boxes) > n_frames:
        raise UserError(
            f"{where} has {len(boxes)} boxes for {n_frames} frames: frames are missing (unpack the images "
            "again), or the file belongs to another sequence"
        )
    if len(boxes) < n_frames:
        logger.warning(
            "%s has %d boxes for %d frames: the last %d frames count as not annotated",
            where,
            len(boxes),
            n_frames,
            n_frames - len(boxes),
        )
        boxes = np.concatenate([boxes, np.full((n_frames - len(boxes), 4), np.nan)])
    return np.asarray(boxes, dtype=np.float64)
