"""COCO (Lin et al., ECCV 2014), as it is distributed; each annotated object is a sequence of one frame.

```
<root>/annotations/instances_train2017.json
<root>/images/train2017/000000000009.jpg        or <root>/train2017/...
```
"""

from __future__ import annotations

import contextlib
import io
import logging
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from ltr.admin.errors import UserError
from ltr.admin.paths import dataset_path
from ltr.dataset.registry import check_split
from ltr.dataset.stored import FrameFile, SequenceInfo, StoredVideos, stored_info

logger = logging.getLogger(__name__)

SPLITS = ("train", "val", "train2017", "val2017", "train2014", "val2014")


def open_split(split: str) -> COCO:
    """A split of an edition, or "train" or "val": of 2017 where it is there, else of 2014."""
    return COCO(split=split)


class COCO(StoredVideos):
    """COCO's photos. Crowds are left out; every other object whose box has an area counts as visible.

    The annotations are read by pycocotools when the data set is made, and kept as tables: those of 860,000 objects take
    up to a minute and 3 GB of memory, of which 30 MB stay.

    Args:
        root: the folder that holds `annotations`; None: `coco` under `[datasets]` in `local.toml`.
        split: one of `SPLITS`.

    Raises:
        UserError: the folder is not set or missing, its annotations are damaged, or pycocotools is not installed.
        UsageError: no such split.
    """

    def __init__(self, root: str | PathLike[str] | None = None, split: str = "train") -> None:
        check_split("coco", split, SPLITS)
        self.root = dataset_path("coco") if root is None else Path(root)
        editions = [split] if split[-1].isdigit() else [f"{split}2017", f"{split}2014"]
        files = [self.root / "annotations" / f"instances_{edition}.json" for edition in editions]
        place = next((place for place in range(len(files)) if files[place].is_file()), None)
        if place is None:
            raise UserError(
                f"COCO: no file {' or '.join(map(str, files))}; set coco under [datasets] in local.toml to the folder "
                "that holds annotations"
            )
        folders = [self.root / "images" / editions[place], self.root / editions[place]]
        if not any(folder.is_dir() for folder in folders):
            raise UserError(f"COCO: no folder {' or '.join(map(str, folders))}: unpack the images there")
        self._images = next(folder for folder in folders if folder.is_dir())
        self._objects = _read_objects(files[place])
        super().__init__(f"coco_{editions[place]}", len(self._objects.ids))

    def _open(self, seq_id: int) -> tuple[SequenceInfo, FrameFile]:
        table = self._objects
        file = self._images / str(table.files[table.image_of[seq_id]])
        info = stored_info(f"{file.stem}/{table.ids[seq_id]}", table.boxes[seq_id : seq_id + 1])
        return info, lambda frame: file


@dataclass(frozen=True, eq=False)
class _Objects:
    """N objects on M photos: their ids (N,), boxes `[x, y, w, h]` (N, 4), photos (N,); file names (M,)."""

    ids: np.ndarray
    boxes: np.ndarray
    image_of: np.ndarray
    files: np.ndarray


def _read_objects(path: Path) -> _Objects:
    try:
        from pycocotools.coco import COCO as Annotations
    except ImportError as error:
        raise UserError("COCO is read by pycocotools, which is not installed: pip install pycocotools") from error
    logger.info("COCO: reading %s", path)
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # it prints its progress
            read: Any = Annotations(str(path))
        images = {image["id"]: place for place, image in enumerate(read.dataset["images"])}
        files = [image["file_name"] for image in read.dataset["images"]]
    except Exception as error:  # whatever the package makes of a damaged file
        raise UserError(f"COCO: {path} cannot be read ({error!r}): restore the file") from error
    objects, broken = [], []
    for annotation in read.dataset["annotations"]:
        try:
            if not annotation["iscrowd"]:
                x, y, width, height = map(float, annotation["bbox"])
                objects.append((annotation["id"], images[annotation["image_id"]], x, y, width, height))
        except (KeyError, TypeError, ValueError) as error:
            broken.append(f"{annotation!r:.80} ({error!r})")
    if len(broken) >= len(objects):
        example = f", the first: {broken[0]}" if broken else ""
        raise UserError(f"COCO: {path} has {len(objects)} objects and {len(broken)} that cannot be read{example}")
    if broken:
        logger.warning(
            "COCO: %d of %d objects in %s cannot be read and are left out, the first: %s",
            len(broken),
            len(broken) + len(objects),
            path,
            broken[0],
        )
    table = np.array(objects, dtype=np.float64)  # ids go up to 10^12, which it holds exactly
    return _Objects(
        ids=table[:, 0].astype(np.int64),
        boxes=table[:, 2:].astype(np.float32),
        image_of=table[:, 1].astype(np.int32),
        files=np.array(files, dtype=np.str_),
    )
