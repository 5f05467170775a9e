"""Small data sets in exactly the layouts in which the real ones are distributed."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

import cv2
import numpy as np
import pytest

NUM_FRAMES = 24
SIZE = (48, 64)  # height, width
KEYS = ("lasot", "got10k", "trackingnet", "coco", "train_folder")


class Trees:
    """Makes them, with the target moving and the green of frame k at 8 k.

    Attributes:
        root: the folder that holds a folder per key of `local.toml`.
        boxes: (24, 4) float64, what all annotations say where nothing else is asked for.
    """

    def __init__(self, root: Path, boxes: np.ndarray, frames: list[np.ndarray]) -> None:
        self.root, self.boxes = root, boxes
        self._frames = frames
        for key in KEYS:
            (root / key).mkdir()

    def lasot(self, name: str = "airplane-2", hidden: Collection[int] = (), away: Collection[int] = ()) -> Path:
        """A sequence whose target is fully occluded in the frames `hidden` and out of view in `away`."""
        folder = self.root / "lasot" / name.rpartition("-")[0] / name
        self.images(folder / "img", (f"{k + 1:08d}.jpg" for k in range(NUM_FRAMES)))
        write_boxes(folder / "groundtruth.txt", self.boxes.astype(int))
        for file, frames in (("full_occlusion.txt", hidden), ("out_of_view.txt", away)):
            (folder / file).write_text(",".join(str(int(k in frames)) for k in range(NUM_FRAMES)))  # one line
        (folder / "nlp.txt").write_text("a square\n")
        return folder

    def got10k(self, name: str, absent: Collection[int] = (), covered: Collection[int] = ()) -> Path:
        """A sequence, at the end of the list; the target is absent or fully covered in some frames."""
        split = self.root / "got10k" / name.split("_")[1].lower()
        folder = split / name
        self.images(folder, (f"{k + 1:08d}.jpg" for k in range(NUM_FRAMES)))
        write_boxes(folder / "groundtruth.txt", self.boxes, "%.4f")
        write_lines(folder / "absence.label", (int(k in absent) for k in range(NUM_FRAMES)))
        write_lines(folder / "cover.label", (0 if k in covered else 1 + k % 8 for k in range(NUM_FRAMES)))
        write_lines(folder / "cut_by_image.label", (0 for _ in range(NUM_FRAMES)))
        (folder / "meta_info.ini").write_text("[METAINFO]\nurl: x\nobject_class: square\n")
        with (split / "list.txt").open("a") as stream:
            stream.write(f"{name}\n")
        return folder

    def got10k_list(self, file: str, positions: Iterable[object]) -> None:
        """One of the lists of positions that the official training code has."""
        write_lines(self.root / "got10k" / file, positions)

    def trackingnet(self, number: int, video: str, boxes: np.ndarray | None = None) -> Path:
        """A video of a set; its frames count from 0, without padding."""
        folder = self.root / "trackingnet" / f"TRAIN_{number}"
        self.images(folder / "frames" / video, (f"{k}.jpg" for k in range(NUM_FRAMES)))
        (folder / "anno").mkdir(exist_ok=True)
        write_boxes(folder / "anno" / f"{video}.txt", self.boxes if boxes is None else boxes, "%.2f")
        return folder

    def coco(self, edition: str = "train2017", images: str = "images/") -> Path:
        """Three photos with a target each, one of them also with a crowd; returns the file of annotations."""
        root = self.root / "coco"
        names = [f"{10 + k:012d}.jpg" for k in range(3)]
        self.images(root / f"{images}{edition}", names)
        content = {
            "images": [{"id": 10 + k, "file_name": name, "height": 48, "width": 64} for k, name in enumerate(names)],
            "categories": [{"id": 1, "name": "square", "supercategory": "shape"}],
            "annotations": [
                {"id": 900 + k, "image_id": 10 + k, "category_id": 1, "iscrowd": 0, "bbox": self.boxes[k].tolist()}
                for k in reversed(range(3))
            ],
        }
        content["annotations"].append({**content["annotations"][0], "id": 7, "iscrowd": 1})
        file = root / "annotations" / f"instances_{edition}.json"
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(content))
        return file

    def folder(self, place: str) -> Path:
        """A sequence of one's own."""
        folder = self.root / "train_folder" / place
        self.images(folder / "img", (f"{k}.jpg" for k in range(NUM_FRAMES)))
        write_boxes(folder / "groundtruth.txt", self.boxes)
        return folder

    def images(self, folder: Path, names: Iterable[str]) -> None:
        """The frames of the moving target under these names."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, frame in zip(names, self._frames, strict=False):
            assert cv2.imwrite(str(folder / name), frame[..., ::-1])


def write_boxes(path: Path, boxes: np.ndarray, form: str = "%g") -> None:
    np.savetxt(path, boxes, fmt=form, delimiter=",")


def write_lines(path: Path, values: Iterable[object]) -> None:
    path.write_text("".join(f"{value}\n" for value in values))


@pytest.fixture
def trees(tmp_path: Path, make_video: Callable, monkeypatch: pytest.MonkeyPatch) -> Trees:
    """Empty folders of all data sets on disk, which `local.toml` names, and the means to fill them."""
    video = make_video(NUM_FRAMES, SIZE, 16)
    for number, frame in enumerate(video.frames):
        frame[..., 1] = 8 * number
    root = tmp_path / "data"
    root.mkdir()
    config = tmp_path / "local.toml"
    config.write_text("[datasets]\n" + "".join(f'{key} = "{root.as_posix()}/{key}"\n' for key in KEYS))
    monkeypatch.setenv("PYTRACKING_LOCAL", str(config))
    return Trees(root, video.boxes, video.frames)


@pytest.fixture
def paper_data(trees: Trees) -> Trees:
    """All that the mixtures of the papers name, each in one sequence."""
    pytest.importorskip("pycocotools", reason="pycocotools is not installed (extra coco)")
    trees.lasot()
    for number, file in enumerate(("vot_train", "vot_val", "train", "val")):
        trees.got10k(f"GOT-10k_Train_{number + 1:06d}")
        trees.got10k_list(f"got10k_{file}_split.txt", [number])
    trees.got10k("GOT-10k_Val_000001")
    for number in range(12):
        trees.trackingnet(number, f"video{number}")
    for edition in ("train2017", "val2017"):
        trees.coco(edition)
    return trees
