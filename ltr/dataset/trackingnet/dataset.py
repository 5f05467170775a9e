"""TrackingNet (Müller et al., ECCV 2018), as it is distributed: twelve sets of 2511 videos to train on.

```
<root>/TRAIN_0/anno/<video>.txt
<root>/TRAIN_0/frames/<video>/0.jpg
```
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

from ltr.admin.errors import UsageError, UserError
from ltr.admin.paths import dataset_path
from ltr.data.image_io import visible_children
from ltr.dataset.readers import read_boxes
from ltr.dataset.stored import FrameFile, SequenceInfo, StoredVideos, stored_info

SETS = 12


def open_split(split: str) -> TrackingNet:
    """The training sets of a list such as "0-3" or "0,2,5-11"; "train" are all twelve."""
    return TrackingNet(sets=parse_sets(split))


class TrackingNet(StoredVideos):
    """TrackingNet's training sets. Their annotation knows no hidden targets: all with a box count as visible.

    Args:
        root: the folder that holds `TRAIN_0` and so on; None: `trackingnet` under `[datasets]` in `local.toml`.
        sets: numbers in 0..11.

    Raises:
        UserError: the folder is not set or missing, or a set is not there or empty.
        ValueError: no set, or one that does not exist.
    """

    def __init__(self, root: str | PathLike[str] | None = None, sets: Sequence[int] = range(SETS)) -> None:
        if not sets or not all(0 <= number < SETS for number in sets):
            raise ValueError(f"sets must be numbers in 0..{SETS - 1}, not {list(sets)}")
        self.root = dataset_path("trackingnet") if root is None else Path(root)
        self.sequences: list[str] = []
        for number in sets:
            annotations = self.root / f"TRAIN_{number}" / "anno"
            videos = [path.stem for path in visible_children(annotations) if path.suffix == ".txt"]
            if not videos:
                raise UserError(
                    f"TrackingNet: no annotations in {annotations}; set trackingnet under [datasets] in local.toml to "
                    f"the folder that holds TRAIN_{number}, or name other sets"
                )
            self.sequences += [f"TRAIN_{number}/{video}" for video in videos]
        super().__init__("trackingnet", len(self.sequences))

    def _open(self, seq_id: int) -> tuple[SequenceInfo, FrameFile]:
        chunk, _, video = self.sequences[seq_id].partition("/")
        folder = self.root / chunk
        info = stored_info(self.sequences[seq_id], read_boxes(folder / "anno" / f"{video}.txt"))
        return info, lambda frame: folder / "frames" / video / f"{frame}.jpg"


def parse_sets(split: str) -> list[int]:
    """The numbers of a list such as "0-3" or "0,2,5-11", ascending; "train" are all.

    Raises:
        UsageError: not such a list, or a number above 11.
    """
    numbers: set[int] = set()
    for part in ("0-11" if split == "train" else split).split(","):
        match = re.fullmatch(r"([0-9]{1,2})(?:-([0-9]{1,2}))?", part.strip())
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, -1)
        if not first <= last < SETS:
            raise UsageError(
                f"split of the data set 'trackingnet': {split!r} is no list of sets: write numbers in 0..{SETS - 1} "
                "such as 0-3 or 0,2,5-11, or train for all"
            )
        numbers.update(range(first, last + 1))
    return sorted(numbers)
