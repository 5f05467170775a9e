"""GOT-10k (Huang, Zhao, Huang; TPAMI 2019), as it is distributed.

```
<root>/train/list.txt
<root>/train/GOT-10k_Train_000001/{groundtruth.txt, absence.label, cover.label, 00000001.jpg}
<root>/val/...                                                         the same, GOT-10k_Val_000001
```
"""

from __future__ import annotations

from os import PathLike
from pathlib import Path

import numpy as np

from ltr.admin.errors import UserError
from ltr.admin.paths import dataset_path
from ltr.data.image_io import visible_children
from ltr.dataset.readers import read_boxes, read_column, read_flags
from ltr.dataset.registry import check_split
from ltr.dataset.stored import FrameFile, SequenceInfo, StoredVideos, stored_info, those_there

# Parts of the training set by the official trackers' training code, each a file of positions in train/list.txt.
LISTS = {
    "train": "got10k_train_split.txt",  # 7934 of 9335
    "val": "got10k_val_split.txt",  # the other 1401
    "vottrain": "got10k_vot_train_split.txt",  # 7086: those of "train" that are not in the VOT challenge
    "votval": "got10k_vot_val_split.txt",  # 1249: those of "val" that are not in it
}
WHOLE = {"train_full": "train", "official_val": "val"}  # 9335 and 180 sequences


def open_split(split: str) -> GOT10k:
    """A part of the training set (`LISTS`), all of it ("train_full"), or the benchmark's own "official_val"."""
    check_split("got10k", split, (*LISTS, *WHOLE))
    return GOT10k(split=split)


class GOT10k(StoredVideos):
    """GOT-10k. A target is visible where it is not marked as absent and some of it is not covered.

    The lists of the splits "train", "val", "vottrain" and "votval" do not come with the data set, nor with this
    project: they are files of zero-based positions in `train/list.txt`, one per line, that are looked for in the root.

    Args:
        root: the folder that holds `train` and `val`; None: `got10k` under `[datasets]` in `local.toml`.
        split: a name of `LISTS` or `WHOLE`.

    Raises:
        UserError: the folder is not set or missing, a list is missing or wrong, or no sequence is there.
        UsageError: no such split.
    """

    def __init__(self, root: str | PathLike[str] | None = None, split: str = "train_full") -> None:
        check_split("got10k", split, (*LISTS, *WHOLE))
        self.root = dataset_path("got10k") if root is None else Path(root)
        self._folder = self.root / WHOLE.get(split, "train")
        listed = self._folder / "list.txt"
        if not listed.is_file():
            raise UserError(
                f"GOT-10k: no file {listed}; set got10k under [datasets] in local.toml to the folder that holds "
                "train and val"
            )
        wanted = listed.read_text(encoding="utf-8").split()
        if split in LISTS:
            wanted = [wanted[position] for position in _positions(self.root / LISTS[split], split, len(wanted))]
        found = {child.name for child in visible_children(self._folder)}
        self.sequences = those_there(f"GOT-10k {split}", "got10k", wanted, found, self._folder)
        super().__init__(f"got10k_{split}", len(self.sequences))

    def _open(self, seq_id: int) -> tuple[SequenceInfo, FrameFile]:
        name = self.sequences[seq_id]
        folder = self._folder / name
        absence, cover = folder / "absence.label", folder / "cover.label"
        seen = [(~read_flags(absence), absence), (read_column(cover) > 0, cover)]  # cover: eighths that can be seen
        info = stored_info(name, read_boxes(folder / "groundtruth.txt"), *seen)
        return info, lambda frame: folder / f"{frame + 1:08d}.jpg"


def _positions(path: Path, split: str, count: int) -> list[int]:
    """The positions in a list file, all within 0..count-1."""
    if not path.is_file():
        raise UserError(
            f"GOT-10k: the split {split!r} needs the file {path}, one zero-based position in train/list.txt per line; "
            f"it is ltr/data_specs/{path.name} in pytracking's repository. Without it, use the split train_full"
        )
    positions = read_column(path)
    wrong = ~((positions >= 0) & (positions < count) & (positions % 1 == 0))
    if wrong.any():
        line = int(np.flatnonzero(wrong)[0])
        raise UserError(f"{path}, line {line + 1}: {positions[line]:g} is no position in a list of {count} sequences")
    return [int(position) for position in positions]
