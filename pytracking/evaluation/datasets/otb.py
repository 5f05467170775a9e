"""OTB-2015 (OTB-100): `<root>/<Sequence>/img/%04d.jpg`, `<root>/<Sequence>/groundtruth_rect.txt`.

Wu, Lim, Yang: Object Tracking Benchmark, TPAMI 2015. 100 targets in 98 folders; boxes have a 1-based
origin and are used as they are, as every toolkit does (a constant shift of all boxes changes no measure).
The table in data/otb.json holds the frame numbers and annotation files that are evaluated: sequences with
two targets, those that start late or are cut, and Tiger1, whose first five frames do not count.
"""

from __future__ import annotations

import json
import logging
import re
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np

from ltr.admin.errors import UserError
from ltr.data.image_io import list_images, visible_children
from ltr.dataset.readers import read_boxes
from pytracking.evaluation.datasets._faults import raise_faults
from pytracking.evaluation.sequence import Sequence, SequenceList, fit_ground_truth

PATH_KEY = "otb"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class OTBEntry:
    """One target of the benchmark.

    Attributes:
        name: Sequence name, e.g. "Jogging_2".
        folder: Folder in the official download, e.g. "Jogging".
        first: Number of the first image listed.
        last: Number of the last image listed.
        subsets: Data sets it belongs to: "otb", "otb50" (TB-50), "otb2013".
        omit: Frames at the start that are not evaluated.
        annotation: File with the boxes.
    """

    name: str
    folder: str
    first: int
    last: int
    subsets: tuple[str, ...]
    omit: int = 0
    annotation: str = "groundtruth_rect.txt"

    @property
    def numbers(self) -> range:
        """Numbers of the evaluated images."""
        return range(self.first + self.omit, self.last + 1)


def entries(subset: str = "otb") -> list[OTBEntry]:
    """The benchmark's targets in alphabetical order; subset "otb" (100), "otb50" (50) or "otb2013" (51)."""
    text = (files("pytracking.evaluation.datasets") / "data" / "otb.json").read_text(encoding="utf-8")
    table = [OTBEntry(**{**row, "subsets": tuple(row["subsets"])}) for row in json.loads(text)]
    return [entry for entry in table if subset in entry.subsets]


def load(path: Path | None) -> SequenceList:
    """Load OTB-100: see `load_subset`."""
    return load_subset(path, "otb")


def load_subset(path: Path | None, subset: str) -> SequenceList:
    """Load the sequences of a subset that are on disk.

    Args:
        path: Folder that holds the sequence folders. Their names may differ from the official ones in
            case and separators (Jogging-1, jogging_1), with a folder per target or one for both.
        subset: "otb", "otb50" or "otb2013".

    Returns:
        Sequences in alphabetical order; missing ones are named in one warning.

    Raises:
        UserError: None is there, or some are incomplete (all are named).
    """
    if path is None:
        raise UserError(f"data set {subset!r} needs the folder of the benchmark: give --dataset_path DIR")
    folders = {_plain(child.name): child for child in reversed(visible_children(path)) if child.is_dir()}
    wanted = entries(subset)
    sequences, faults, missing = SequenceList(), [], []
    for entry in wanted:
        folder = folders.get(_plain(entry.name)) or folders.get(_plain(entry.folder))
        if folder is None:
            missing.append(entry.name)
            continue
        try:
            sequences.append(_sequence(entry, folder, subset))
        except UserError as error:
            faults.append(str(error))
    raise_faults(faults, path)
    if not sequences:
        raise UserError(
            f"none of the {len(wanted)} sequences of {subset!r} is in {path}. Looked for folders such as "
            f"{wanted[0].folder}/img/{wanted[0].first:04d}.jpg with "
            f"{wanted[0].folder}/{wanted[0].annotation}; "
            "for other sequences use the data set 'folder'"
        )
    if missing:
        shown = ", ".join(missing[:8]) + (", ..." if len(missing) > 8 else "")
        logger.warning(
            "%s: %d of %d sequences found in %s; missing: %s",
            subset,
            len(sequences),
            len(wanted),
            path,
            shown,
        )
    return sequences


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _sequence(entry: OTBEntry, folder: Path, dataset: str) -> Sequence:
    boxes = _boxes(entry, folder)
    images = {int(image.stem): image for image in list_images(folder / "img") if image.stem.isdecimal()}
    lost = [number for number in entry.numbers if number not in images]
    if lost:
        raise UserError(
            f"{entry.name}: {len(lost)} of {len(entry.numbers)} images are missing in "
            f"{folder / 'img'}, the first is "
            f"number {lost[0]}: unpack it again (part of a sequence can be run as data set 'folder')"
        )
    return Sequence(entry.name, [images[number] for number in entry.numbers], boxes, dataset)


def _boxes(entry: OTBEntry, folder: Path) -> np.ndarray:
    """(N, 4) boxes of the evaluated frames."""
    path = _annotation_file(entry, folder)
    boxes = read_boxes(path)
    evaluated, listed = len(entry.numbers), entry.last - entry.first + 1
    # Files in circulation begin at the first listed image, at the first evaluated one, or at image 1.
    if len(boxes) == evaluated:
        start = 0
    elif entry.first > 1 and len(boxes) >= entry.last:
        start = entry.first + entry.omit - 1
    else:
        start = entry.omit
    if len(boxes) > listed:
        logger.info("%s: %d of the %d boxes are evaluated", entry.name, evaluated, len(boxes))
    return fit_ground_truth(boxes[start : start + evaluated], evaluated, path)


def _annotation_file(entry: OTBEntry, folder: Path) -> Path:
    names = [entry.annotation]
    if _plain(folder.name) == _plain(entry.name) or not _shares_folder(entry):
        # A folder of one target may call its file as all others do; in a folder of two targets that file
        # would be one target's box for both.
        names += ["groundtruth_rect.txt", "groundtruth.txt"]
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise UserError(f"{entry.name}: {folder / entry.annotation} is missing")


def _shares_folder(entry: OTBEntry) -> bool:
    return sum(other.folder == entry.folder for other in entries()) > 1
