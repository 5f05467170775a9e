"""The data sets of the papers on small trees of their layouts: boxes, visible frames, files, and faults."""

from __future__ import annotations

import json
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ltr.admin.errors import UsageError, UserError
from ltr.dataset.base import VideoDataset
from ltr.dataset.coco import COCO
from ltr.dataset.folder import FolderVideos
from ltr.dataset.got10k import GOT10k
from ltr.dataset.lasot import LaSOT
from ltr.dataset.lasot.dataset import training_sequences
from ltr.dataset.registry import open_dataset
from ltr.dataset.stored import StoredVideos
from ltr.dataset.trackingnet import TrackingNet
from ltr.dataset.trackingnet.dataset import parse_sets

Trees = Any  # tests/ltr/conftest.py


def shown(videos: VideoDataset, seq_id: int, frame_ids: list[int]) -> list[int]:
    """Which frames of the moving target these are, by their green."""
    return [round(float(np.median(frame[..., 1])) / 8) for frame in videos.frames(seq_id, frame_ids)]


def names(videos: VideoDataset) -> list[str]:
    return [videos.sequence_info(seq_id).name for seq_id in range(len(videos))]


def hidden(videos: VideoDataset, seq_id: int = 0) -> list[int]:
    return np.flatnonzero(~videos.sequence_info(seq_id).visible).tolist()


def test_lasot(trees: Trees, caplog: pytest.LogCaptureFixture) -> None:
    trees.lasot("zebra-20")
    folder = trees.lasot("airplane-2", hidden={3}, away={5, 6})
    trees.lasot("airplane-1")  # of the test set
    lines = (folder / "groundtruth.txt").read_text().splitlines()
    lines[8] = "0,0,0,0"
    (folder / "groundtruth.txt").write_text("\n".join(lines) + "\n")
    videos = open_dataset("lasot:train")
    assert names(videos) == ["airplane-2", "zebra-20"]
    assert "LaSOT: 1118 of 1120 sequences are missing" in caplog.text
    info = videos.sequence_info(0)
    assert info.boxes.dtype == np.float32
    np.testing.assert_array_equal(info.boxes[:8], trees.boxes[:8])
    assert hidden(videos) == [3, 5, 6, 8]
    assert shown(videos, 0, [23, 0, 7]) == [23, 0, 7]


def test_lasot_trains_on_what_it_does_not_test_on() -> None:
    sequences = training_sequences()
    assert len(set(sequences)) == 1120
    assert len({name.rpartition("-")[0] for name in sequences}) == 70
    assert not {"airplane-1", "airplane-9", "basketball-1", "zebra-17"} & set(sequences)


@pytest.fixture
def got10k(trees: Trees) -> Trees:
    trees.got10k("GOT-10k_Train_000001")
    trees.got10k("GOT-10k_Train_000002", absent={1, 2}, covered={2, 4})
    trees.got10k("GOT-10k_Train_000003")
    trees.got10k("GOT-10k_Val_000001")
    return trees


@pytest.mark.usefixtures("got10k")
def test_got10k() -> None:
    videos = open_dataset("got10k:train_full")
    assert names(videos) == [f"GOT-10k_Train_{number:06d}" for number in (1, 2, 3)]
    assert (hidden(videos, 0), hidden(videos, 1)) == ([], [1, 2, 4])
    assert shown(videos, 2, [0, 11]) == [0, 11]
    assert names(open_dataset("got10k:official_val")) == ["GOT-10k_Val_000001"]


def test_parts_of_got10k_are_positions_in_its_list(got10k: Trees) -> None:
    got10k.got10k_list("got10k_vot_train_split.txt", [0, 2])
    got10k.got10k_list("got10k_val_split.txt", [1])
    assert names(open_dataset("got10k:vottrain")) == ["GOT-10k_Train_000001", "GOT-10k_Train_000003"]
    assert names(open_dataset("got10k:val")) == ["GOT-10k_Train_000002"]
    with pytest.raises(UserError, match=r"'train' needs the file .*got10k_train_split\.txt.*train_full"):
        open_dataset("got10k:train")
    for wrong in (3, -1, 0.5):
        got10k.got10k_list("got10k_val_split.txt", [1, wrong])
        with pytest.raises(UserError, match=rf"got10k_val_split\.txt, line 2: {wrong} is no position in a list of 3"):
            open_dataset("got10k:val")


def test_trackingnet(trees: Trees) -> None:
    boxes = trees.boxes.copy()
    boxes[4, 2] = 0
    for number, video in ((0, "b-Z_0"), (0, "a_1"), (2, "c"), (11, "d")):
        trees.trackingnet(number, video, boxes)
    videos = open_dataset("trackingnet:0,2")
    assert names(videos) == ["TRAIN_0/a_1", "TRAIN_0/b-Z_0", "TRAIN_2/c"]
    assert hidden(videos, 2) == [4]
    assert shown(videos, 1, [0, 2, 10]) == [0, 2, 10]
    assert len(open_dataset("trackingnet:11")) == 1
    with pytest.raises(UserError, match=r"TRAIN_1.anno; set trackingnet under \[datasets\]"):
        open_dataset("trackingnet:0-2")


def test_sets_of_trackingnet_in_words() -> None:
    assert parse_sets("0-3") == [0, 1, 2, 3]
    assert parse_sets("11, 2,1-2") == [1, 2, 11]
    assert parse_sets("train") == list(range(12))
    for wrong in ("12", "3-1", "0-12", "one", "0,", "0--1"):
        with pytest.raises(UsageError, match=r"no list of sets: write numbers in 0\.\.11"):
            parse_sets(wrong)


@pytest.fixture
def coco(trees: Trees) -> Trees:
    pytest.importorskip("pycocotools", reason="pycocotools is not installed (extra coco)")
    return trees


def test_coco(coco: Trees, capsys: pytest.CaptureFixture[str]) -> None:
    coco.coco("train2017")
    videos = open_dataset("coco:train")
    assert videos.name == "coco_train2017"
    assert names(videos) == [f"{place:012d}/{890 + place}" for place in (12, 11, 10)]  # no crowd
    np.testing.assert_allclose(videos.sequence_info(0).boxes, coco.boxes[2:3])
    assert videos.sequence_info(0).visible.tolist() == [True]
    assert shown(videos, 0, [0, 0, 0]) == [2, 2, 2]
    assert capsys.readouterr().out == ""


def test_editions_of_coco(coco: Trees) -> None:
    coco.coco("train2014", images="")  # as the archives unpack
    assert open_dataset("coco:train").name == "coco_train2014"
    coco.coco("train2017")
    assert open_dataset("coco:train").name == "coco_train2017"
    assert shown(open_dataset("coco:train2014"), 1, [0]) == [1]
    with pytest.raises(UserError, match=r"instances_val2017\.json or .*instances_val2014\.json; set coco"):
        open_dataset("coco:val")
    (coco.root / "coco" / "train2014").rename(coco.root / "coco" / "elsewhere")
    with pytest.raises(UserError, match=r"no folder .*images.train2014 or .*train2014: unpack the images"):
        open_dataset("coco:train2014")


def change(file: Path, change: Callable[[list[dict[str, Any]]], None]) -> None:
    content = json.loads(file.read_text())
    change(content["annotations"])
    file.write_text(json.dumps(content))


def test_objects_of_coco_that_are_broken(coco: Trees, caplog: pytest.LogCaptureFixture) -> None:
    file = coco.coco("train2017")
    change(file, lambda objects: objects[0].update(bbox=[1, 2, "wide", 4]))
    assert len(COCO(split="train2017")) == 2
    assert "1 of 3 objects" in caplog.text and "wide" in caplog.text
    change(file, lambda objects: objects[1].update(image_id=77))
    with pytest.raises(UserError, match=r"1 objects and 2 that cannot be read, the first: .*wide"):
        COCO(split="train2017")
    for content in ("", "[1, 2]", '{"annotations": []}'):
        file.write_text(content)
        with pytest.raises(UserError, match=r"instances_train2017\.json cannot be read .*restore the file"):
            COCO(split="train2017")


def test_coco_without_its_package(trees: Trees, monkeypatch: pytest.MonkeyPatch) -> None:
    trees.coco("train2017")
    for name in ("pycocotools", "pycocotools.coco"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UserError, match="pip install pycocotools"):
        COCO()


def test_coco_holds_tables_and_no_dictionaries(coco: Trees) -> None:
    """Of the real one, which has 860,000 objects, every worker process would hold gigabytes."""
    coco.coco("train2017")
    table = COCO()._objects
    assert all(isinstance(value, np.ndarray) and value.dtype != object for value in vars(table).values())


def test_folder(trees: Trees, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(11):
        trees.folder(f"video{number}")
    everything = [f"video{number}" for number in range(11)]
    assert names(open_dataset("folder:all")) == everything
    assert names(open_dataset("folder:val")) == ["video9"]
    assert names(open_dataset("folder:train")) == [name for name in everything if name != "video9"]
    assert shown(open_dataset("folder:val"), 0, [2, 10]) == [2, 10]  # natural order
    for file in ("clip.mp4", "clip.txt"):
        (trees.root / "train_folder" / file).touch()
    assert len(open_dataset("folder:all")) == 11
    assert "unpack clip.mp4" in caplog.text


def test_a_folder_in_parts(trees: Trees) -> None:
    for place in ("train/a", "train/b", "val/c"):
        trees.folder(place)
    assert names(open_dataset("folder:train")) == ["a", "b"]
    assert names(open_dataset("folder:val")) == ["c"]
    with pytest.raises(UserError, match=r"no sequences in .*groundtruth\.txt.*train_folder under \[datasets\]"):
        open_dataset("folder:all")


def test_a_small_folder_validates_on_what_it_trains_on(trees: Trees) -> None:
    trees.folder("only")
    assert names(open_dataset("folder:train")) == names(open_dataset("folder:val")) == ["only"]


def test_frames_that_are_not_annotated_to_the_end(trees: Trees) -> None:
    annotation = trees.folder("short") / "groundtruth.txt"
    lines = annotation.read_text().splitlines()
    annotation.write_text("\n".join([*lines[:5], "nan,nan,nan,nan", *lines[6:20]]))
    videos = FolderVideos()
    assert len(videos.sequence_info(0).boxes) == 20
    assert hidden(videos) == [5]
    annotation.write_text("\n".join([*lines, lines[0]]))
    with pytest.raises(UserError, match="25 boxes for 24 frames"):
        FolderVideos().sequence_info(0)


@pytest.mark.parametrize(
    ("spec", "key"),
    [
        ("lasot:train", "lasot"),
        ("got10k:train_full", "got10k"),
        ("trackingnet:0-3", "trackingnet"),
        ("coco:train", "coco"),
        ("folder:train", "train_folder"),
    ],
)
def test_a_missing_folder_names_the_key(
    spec: str, key: str, trees: Trees, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=rf"{key} under \[datasets\]"):
        open_dataset(spec)  # the folder is there, and empty
    (trees.root / key).rename(tmp_path / "away")
    with pytest.raises(UserError, match=rf"correct \[datasets\] {key} in "):
        open_dataset(spec)
    (tmp_path / "local.toml").write_text("[datasets]\n")
    with pytest.raises(UserError, match=rf"{key} = .* under \[datasets\]"):
        open_dataset(spec)


@pytest.mark.parametrize("kind", [LaSOT, GOT10k])
def test_flags_of_another_length(kind: type[StoredVideos], trees: Trees) -> None:
    if kind is LaSOT:
        (trees.lasot() / "out_of_view.txt").write_text("0,0,1")
    else:
        (trees.got10k("GOT-10k_Train_000001") / "absence.label").write_text("0\n0\n1\n")
    with pytest.raises(UserError, match=r"(out_of_view|absence).* is about 3 frames, but there are boxes of 24"):
        kind().sequence_info(0)


def test_files_that_are_gone(trees: Trees) -> None:
    folder = trees.lasot()
    (folder / "img" / "00000004.jpg").unlink()
    (folder / "full_occlusion.txt").rename(folder / "x.txt")
    with pytest.raises(UserError, match=r"full_occlusion\.txt does not exist"):
        LaSOT().sequence_info(0)
    (folder / "x.txt").rename(folder / "full_occlusion.txt")
    with pytest.raises(UserError, match=r"00000004\.jpg does not exist"):
        LaSOT().frames(0, [2, 3])


def test_numbers_out_of_range_and_travel(trees: Trees) -> None:
    trees.trackingnet(0, "a")
    videos = TrackingNet(sets=[0])
    before = videos.sequence_info(0)
    videos = pickle.loads(pickle.dumps(videos))
    np.testing.assert_array_equal(videos.sequence_info(0).boxes, before.boxes)
    for seq_id in (-1, 1):
        with pytest.raises(IndexError, match=f"sequence {seq_id} of 1"):
            videos.sequence_info(seq_id)
    for frame in (-1, 24):
        with pytest.raises(IndexError, match=f"frame {frame} of sequence 0, which has 24"):
            videos.frames(0, [0, frame])
    with pytest.raises(ValueError, match=r"numbers in 0\.\.11"):
        TrackingNet(sets=[12])


def test_a_frame_asked_for_twice_is_read_once(trees: Trees) -> None:
    trees.trackingnet(0, "a")
    first, second, again = TrackingNet(sets=[0]).frames(0, [3, 4, 3])
    assert first is again and first is not second
