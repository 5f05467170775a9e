"""OTB's table against the published counts, and its quirks on a miniature of the benchmark."""

from __future__ import annotations

import logging
from pathlib import Path

import cv2
import numpy as np
import pytest

from ltr.admin.errors import UserError
from pytracking.evaluation.datasets import otb
from pytracking.evaluation.datasets.registry import get_dataset, list_datasets

IMAGE = cv2.imencode(".jpg", np.zeros((4, 4, 3), np.uint8))[1].tobytes()


def put(root: Path, folder: str, numbers: range, annotations: dict[str, int], digits: int = 4) -> Path:
    """A sequence whose boxes have the line number (from 1) as x."""
    images = root / folder / "img"
    images.mkdir(parents=True)
    for number in numbers:
        (images / f"{number:0{digits}d}.jpg").write_bytes(IMAGE)
    for name, lines in annotations.items():
        (root / folder / name).write_text("".join(f"{line},1,2,2\n" for line in range(1, lines + 1)))
    return root / folder


def spans(path: Path, dataset: str = "otb") -> dict[str, tuple[str, int, float]]:
    """Sequence -> name of its first image, length, x of its first box."""
    found = {}
    for sequence in get_dataset(dataset, path):
        assert isinstance(sequence.frames, list)
        found[sequence.name] = (sequence.frames[0].name, len(sequence), sequence.ground_truth_rect[0, 0])
    return found


def test_counts_of_the_benchmark() -> None:
    lengths = {subset: [len(entry.numbers) for entry in otb.entries(subset)] for subset in ("otb", "otb50", "otb2013")}
    assert {subset: (len(values), sum(values)) for subset, values in lengths.items()} == {
        "otb": (100, 59_035),
        "otb50": (50, 26_972),
        "otb2013": (51, 29_486),
    }
    assert len({entry.folder for entry in otb.entries()}) == 98
    assert min(lengths["otb"]) == 71 and max(lengths["otb"]) == 3872
    assert {"otb", "otb50", "otb2013"} <= set(list_datasets())


def test_frame_ranges(tmp_path: Path) -> None:
    rect = "groundtruth_rect.txt"
    put(tmp_path, "David", range(1, 771), {rect: 471})  # images from 1, boxes from image 300
    put(tmp_path, "BlurCar4", range(18, 398), {rect: 380})  # images from 18
    put(tmp_path, "Football1", range(1, 80), {rect: 74})  # images go on after the last box
    put(tmp_path, "Diving", range(1, 232), {rect: 231})  # so do boxes
    put(tmp_path, "Tiger1", range(1, 355), {rect: 354})  # five at the start do not count
    put(tmp_path, "Board", range(1, 699), {rect: 698}, digits=5)
    assert spans(tmp_path) == {
        "Board": ("00001.jpg", 698, 1),
        "BlurCar4": ("0018.jpg", 380, 1),
        "David": ("0300.jpg", 471, 1),
        "Diving": ("0001.jpg", 215, 1),
        "Football1": ("0001.jpg", 74, 1),
        "Tiger1": ("0006.jpg", 349, 6),
    }


def test_annotations_that_begin_elsewhere(tmp_path: Path) -> None:
    rect = "groundtruth_rect.txt"
    put(tmp_path, "David", range(300, 771), {rect: 770})  # one line per image from number 1
    put(tmp_path, "Tiger1", range(1, 355), {rect: 349})  # already without the five
    assert spans(tmp_path) == {"David": ("0300.jpg", 471, 300), "Tiger1": ("0006.jpg", 349, 1)}


def test_two_targets_in_one_folder(tmp_path: Path) -> None:
    folder = put(tmp_path, "Jogging", range(1, 308), {"groundtruth_rect.1.txt": 307, "groundtruth_rect.2.txt": 307})
    (folder / "groundtruth_rect.2.txt").write_text("9\t1\t2\t2\n" * 307)
    folder = put(tmp_path, "Human4", range(1, 668), {"groundtruth_rect.1.txt": 0, "groundtruth_rect.2.txt": 667})
    assert spans(tmp_path) == {
        "Human4_2": ("0001.jpg", 667, 1),
        "Jogging_1": ("0001.jpg", 307, 1),
        "Jogging_2": ("0001.jpg", 307, 9),
    }
    (tmp_path / "Jogging" / "groundtruth_rect.1.txt").rename(tmp_path / "Jogging" / "groundtruth_rect.txt")
    with pytest.raises(UserError, match=r"Jogging_1: .*groundtruth_rect\.1\.txt is missing"):
        get_dataset("otb", tmp_path)


@pytest.mark.parametrize("names", [("Jogging-1", "Jogging-2"), ("jogging_1", "jogging_2"), ("Jogging.1", "Jogging.2")])
def test_a_folder_for_each_target(tmp_path: Path, names: tuple[str, str]) -> None:
    for name in names:
        put(tmp_path, name, range(1, 308), {"groundtruth_rect.txt": 307})
    put(tmp_path, "human4-2", range(1, 668), {"groundtruth_rect.txt": 667})
    sequences = get_dataset("otb", tmp_path)
    assert [sequence.name for sequence in sequences] == ["Human4_2", "Jogging_1", "Jogging_2"]
    frames = sequences["Jogging_2"].frames
    assert isinstance(frames, list) and frames[0].parts[-3] == names[1]


def test_subsets(tmp_path: Path) -> None:
    for name, length in (("Deer", 71), ("Vase", 271), ("Man", 134)):
        put(tmp_path, name, range(1, length + 1), {"groundtruth_rect.txt": length})
    assert set(spans(tmp_path)) == {"Deer", "Vase", "Man"}
    assert set(spans(tmp_path, "otb50")) == {"Deer"}
    assert get_dataset("otb2013", tmp_path)[0].dataset == "otb2013"


def test_missing_sequences_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    put(tmp_path, "Deer", range(1, 72), {"groundtruth_rect.txt": 71})
    with caplog.at_level(logging.WARNING):
        get_dataset("otb", tmp_path)
    assert "1 of 100 sequences found" in caplog.text and "Basketball" in caplog.text
    with pytest.raises(UserError, match=r"none of the 50 sequences of 'otb50' is in .*Looked for"):
        get_dataset("otb50", tmp_path / "Deer")


def test_incomplete_sequences_are_named(tmp_path: Path) -> None:
    put(tmp_path, "Deer", range(1, 60), {"groundtruth_rect.txt": 71})
    put(tmp_path, "Man", range(1, 135), {})
    with pytest.raises(UserError) as caught:
        get_dataset("otb", tmp_path)
    assert "Deer: 12 of 71 images are missing" in str(caught.value) and "the first is number 60" in str(caught.value)
    assert "Man: " in str(caught.value)


@pytest.mark.data
def test_real_sequences(shared_sequences: Path, tmp_path: Path) -> None:
    for name in ("Crossing", "DragonBaby", "Girl", "Man"):
        (tmp_path / name).symlink_to(shared_sequences / name)
    assert {name: span[1] for name, span in spans(tmp_path).items()} == {
        "Crossing": 120, "DragonBaby": 113, "Girl": 500, "Man": 134,
    }  # fmt: skip
