"""Any folder of sequences, in the layout of the evaluation data set `folder`.

```
<root>/(train/)<sequence>/(img/)*.jpg, groundtruth.txt
```
"""

from __future__ import annotations

import logging
from os import PathLike
from pathlib import Path

from ltr.admin.errors import UserError
from ltr.admin.paths import dataset_path
from ltr.data.image_io import visible_children
from ltr.dataset.folder.layout import ANNOTATIONS, annotated_frames, annotation_file
from ltr.dataset.readers import read_boxes
from ltr.dataset.registry import check_split
from ltr.dataset.stored import FrameFile, SequenceInfo, StoredVideos, stored_info

logger = logging.getLogger(__name__)

_VAL_EVERY = 10


def open_split(split: str) -> FolderVideos:
    """"train" and "val" are different sequences; "all" are those that lie in the folder itself."""
    return FolderVideos(split=split)


class FolderVideos(StoredVideos):
    """Your own sequences of images. A target is visible where its box has an area.

    Args:
        root: the folder of the sequences; None: `train_folder` under `[datasets]` in `local.toml`.
        split: "all", or "train" or "val": the sequences in the subfolder of that name, or without such subfolders
            every tenth sequence for "val" and the others for "train".

    Raises:
        UserError: the folder is not set or missing, or has no annotated sequence of images.
        UsageError: no such split.
    """

    def __init__(self, root: str | PathLike[str] | None = None, split: str = "all") -> None:
        check_split("folder", split, ("all", "train", "val"))
        self.root = dataset_path("train_folder") if root is None else Path(root)
        folders = [self.root / part for part in ("train", "val")]
        parted = any(folder.is_dir() for folder in folders) and split != "all"
        inside = self.root / split if parted else self.root
        children = visible_children(inside)
        self._folders = [child for child in children if annotation_file(child)]
        videos = [c.name for c in children if c.is_file() and c.suffix != ".txt" and c.with_suffix(".txt").is_file()]
        if videos:
            logger.warning("left out, for training needs single images: unpack %s in %s", ", ".join(videos), inside)
        if not self._folders:
            raise UserError(
                f"no sequences in {inside}: looked for <sequence>/(img/)*.jpg with {' or '.join(ANNOTATIONS)}; the "
                "folder is train_folder under [datasets] in local.toml"
            )
        if not parted and split != "all":
            held_out = self._folders[_VAL_EVERY - 1 :: _VAL_EVERY]
            chosen = held_out if split == "val" else [folder for folder in self._folders if folder not in held_out]
            self._folders = chosen or self._folders  # fewer than ten: nothing to hold out
        super().__init__(f"folder_{split}", len(self._folders))

    def _open(self, seq_id: int) -> tuple[SequenceInfo, FrameFile]:
        folder = self._folders[seq_id]
        annotation = annotation_file(folder)
        if annotation is None:
            raise UserError(f"{folder} has lost its annotation")
        frames, boxes = annotated_frames(folder, annotation), read_boxes(annotation)
        if len(boxes) > len(frames):
            raise UserError(f"{annotation} has {len(boxes)} boxes for {len(frames)} frames: frames are missing")
        return stored_info(folder.name, boxes), frames.__getitem__
