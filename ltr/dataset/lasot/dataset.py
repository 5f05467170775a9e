"""LaSOT (Fan et al., CVPR 2019), as it is distributed.

```
<root>/airplane/airplane-2/{groundtruth.txt, full_occlusion.txt, out_of_view.txt, img/00000001.jpg}
```
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from os import PathLike
from pathlib import Path

from ltr.admin.errors import UserError
from ltr.admin.paths import dataset_path
from ltr.data.image_io import visible_children
from ltr.dataset.readers import read_boxes, read_flags
from ltr.dataset.registry import check_split
from ltr.dataset.stored import FrameFile, SequenceInfo, StoredVideos, stored_info, those_there


def open_split(split: str) -> LaSOT:
    """The 1120 sequences of the training set ("train"; Protocol II tests on the other 280)."""
    check_split("lasot", split, ("train",))
    return LaSOT()


class LaSOT(StoredVideos):
    """LaSOT's training set. A target is visible unless it is marked as fully hidden or out of view.

    Args:
        root: the folder that holds a folder per class; None: `lasot` under `[datasets]` in `local.toml`.
        sequences: other sequences than those of the training set, such as "airplane-2".

    Raises:
        UserError: the folder is not set or missing, or holds none of the sequences.
    """

    def __init__(self, root: str | PathLike[str] | None = None, sequences: Sequence[str] | None = None) -> None:
        self.root = dataset_path("lasot") if root is None else Path(root)
        if not self.root.is_dir():
            raise UserError(f"LaSOT: no folder {self.root}; set lasot under [datasets] in local.toml")
        wanted = training_sequences() if sequences is None else list(sequences)
        classes = dict.fromkeys(map(_class_of, wanted))
        found = {child.name for name in classes for child in visible_children(self.root / name)}
        self.sequences = those_there("LaSOT", "lasot", wanted, found, self.root)
        super().__init__("lasot_train", len(self.sequences))

    def _open(self, seq_id: int) -> tuple[SequenceInfo, FrameFile]:
        name = self.sequences[seq_id]
        folder = self.root / _class_of(name) / name
        hidden = [(~read_flags(path), path) for path in (folder / "full_occlusion.txt", folder / "out_of_view.txt")]
        info = stored_info(name, read_boxes(folder / "groundtruth.txt"), *hidden)
        return info, lambda frame: folder / "img" / f"{frame + 1:08d}.jpg"


def training_sequences() -> list[str]:
    """Names of the training set: all of the 1400 but the 280 of the test set."""
    return (files("ltr") / "data_specs" / "lasot_train_split.txt").read_text(encoding="utf-8").split()


def _class_of(sequence: str) -> str:
    return sequence.rpartition("-")[0]
