"""ImageNet VID, the videos of the ILSVRC 2015 challenge (Russakovsky et al., IJCV 2015), as it is distributed.

```
<root>/Annotations/VID/train/ILSVRC2015_VID_train_0000/ILSVRC2015_train_00000000/000000.xml
<root>/Data/VID/train/ILSVRC2015_VID_train_0000/ILSVRC2015_train_00000000/000000.JPEG
```
"""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Literal, cast

import numpy as np

from ltr.admin.errors import UserError
from ltr.admin.paths import dataset_path
from ltr.data.image_io import read_image
from ltr.dataset.base import SequenceInfo, VideoDataset
from ltr.dataset.imagenet_vid.index import cache_files, cached_index
from ltr.dataset.registry import check_split


def open_split(split: str) -> ImageNetVID:
    """The split "train" or "val" in the folder of `local.toml`."""
    check_split("imagenet_vid", split, ("train", "val"))
    return ImageNetVID(split=cast(Literal["train", "val"], split))


class ImageNetVID(VideoDataset):
    """One sequence per object: from the frame in which it first appears to the last before it is first absent.

    Reading the annotations of the whole training split (1.1 million small files) takes minutes, once: the result
    is kept in an index file in the root, or where that cannot be written in the user's cache folder. It is made
    anew when folders of videos come, go or change.

    Args:
        root: the folder that holds `Annotations` and `Data`; None: `imagenet_vid` under `[datasets]` in `local.toml`.
        split: "train" or "val".
        min_length: shorter sequences are left out, frames.
        cache: folder for the index file instead of the places above.

    Raises:
        UserError: the folder is not set, missing, of another layout; most annotations are damaged (a few are left out).
        ValueError: another split, or a length below 1.
    """

    def __init__(
        self,
        root: str | PathLike[str] | None = None,
        split: Literal["train", "val"] = "train",
        min_length: int = 2,
        cache: str | PathLike[str] | None = None,
    ) -> None:
        if split not in ("train", "val"):
            raise ValueError(f"split must be 'train' or 'val', not {split!r}")
        if min_length < 1:
            raise ValueError(f"min_length must be at least 1, not {min_length}")
        self.name = f"imagenet_vid_{split}"
        self.root = dataset_path("imagenet_vid") if root is None else Path(root)
        self._annotations = self.root / "Annotations" / "VID" / split
        self._data = self.root / "Data" / "VID" / split
        for folder in (self._annotations, self._data):
            if not folder.is_dir():
                raise UserError(
                    f"ImageNet VID: no folder {folder}; set imagenet_vid under [datasets] in local.toml "
                    "to the folder that holds Annotations and Data (ILSVRC2015 in the distribution)"
                )
        self._index = cached_index(self._annotations, cache_files(self.root, split, cache))
        lengths = np.diff(self._index.offset)
        self._kept = np.flatnonzero(lengths >= min_length)
        if len(self._kept) == 0:
            raise UserError(f"ImageNet VID: no sequence of {min_length} frames or more in {self._annotations}")

    def __len__(self) -> int:
        return len(self._kept)

    def sequence_info(self, seq_id: int) -> SequenceInfo:
        """See `VideoDataset.sequence_info`; visible: not marked as occluded."""
        track = self._track(seq_id)
        span = slice(self._index.offset[track], self._index.offset[track + 1])
        boxes = self._index.boxes[span].copy()
        visible = ~self._index.occluded[span] & (boxes[:, 2:] > 0).all(axis=1)
        return SequenceInfo(boxes, visible, str(self._index.names[track]))

    def frames(self, seq_id: int, frame_ids: Sequence[int]) -> list[np.ndarray]:
        """See `VideoDataset.frames`.

        Raises:
            UserError: a picture is missing or damaged.
        """
        track = self._track(seq_id)
        length = int(self._index.offset[track + 1] - self._index.offset[track])
        folder = self._data / str(self._index.videos[self._index.video_of[track]])
        for frame in frame_ids:
            if not 0 <= frame < length:
                raise IndexError(f"{self.name}: frame {frame} of sequence {seq_id}, which has {length}")
        return [read_image(folder / f"{int(self._index.first[track]) + int(frame):06d}.JPEG") for frame in frame_ids]

    def _track(self, seq_id: int) -> int:
        if not 0 <= seq_id < len(self._kept):
            raise IndexError(f"{self.name}: sequence {seq_id} of {len(self._kept)}")
        return int(self._kept[seq_id])
