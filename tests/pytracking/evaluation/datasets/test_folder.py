"""The data set `folder`: every layout it promises, and every fault it names."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from ltr.admin.errors import UserError
from pytracking.evaluation.datasets.registry import get_dataset

Write = Callable[..., Path]


def names(path: Path) -> list[str]:
    return [sequence.name for sequence in get_dataset("folder", path)]


@pytest.mark.parametrize("images", ["img", ".", "imgs", "color"])
@pytest.mark.parametrize("annotation", ["groundtruth.txt", "groundtruth_rect.txt"])
def test_layouts(write_sequence: Write, images: str, annotation: str) -> None:
    folder = write_sequence("seq2", 4, images=images, annotation=annotation)
    write_sequence("seq10", 3, images=images, annotation=annotation)
    sequences = get_dataset("folder", folder.parent)
    assert [(s.name, len(s)) for s in sequences] == [("seq2", 4), ("seq10", 3)], "natural order"
    np.testing.assert_array_equal(sequences[0].ground_truth_rect[:, 0], [10, 11, 12, 13])
    assert sequences[0].dataset == "folder"
    assert sequences[0].image(3).shape == (48, 64, 3)


def test_a_sequence_folder_itself(write_sequence: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_sequence("Girl", 3)
    assert names(folder) == ["Girl"]
    monkeypatch.chdir(folder)
    assert names(Path()) == ["Girl"], "also as the working directory"


def test_frames_in_natural_order(write_sequence: Write) -> None:
    folder = write_sequence("Girl", 11, pattern="frame{}.png")
    frames = get_dataset("folder", folder)[0].frames
    assert isinstance(frames, list)
    assert [frame.name for frame in frames] == [f"frame{number}.png" for number in range(1, 12)]


@pytest.mark.parametrize("separator", ["\t", " ", ";", ", "])
def test_separators(write_sequence: Write, separator: str) -> None:
    folder = write_sequence("Girl", 3)
    path = folder / "groundtruth.txt"
    path.write_text(path.read_text().replace(",", separator))
    assert get_dataset("folder", folder)[0].ground_truth_rect.tolist()[2] == [12, 12, 16, 14]


def test_fewer_lines_than_frames(write_sequence: Write, caplog: pytest.LogCaptureFixture) -> None:
    folder = write_sequence("Girl", 5)
    (folder / "groundtruth.txt").write_text("1,2,3,4\n2,3,4,5\n")
    with caplog.at_level(logging.WARNING):
        sequence = get_dataset("folder", folder)[0]
    assert len(sequence) == 5 and np.isnan(sequence.ground_truth_rect[2:]).all()
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_all_faults_are_named_at_once(write_sequence: Write) -> None:
    for name in ("good", "text", "long", "empty", "unset", "imageless", "twice"):
        folder = write_sequence(name, 3)
    root = folder.parent
    (root / "text" / "groundtruth.txt").write_text("1,2,3,4\nhello\n")
    (root / "long" / "groundtruth.txt").write_text("1,2,3,4\n" * 4)
    (root / "empty" / "groundtruth.txt").write_text("")
    (root / "unset" / "groundtruth.txt").write_text("nan,nan,nan,nan\n1,2,3,4\n1,2,3,4\n")
    shutil.rmtree(root / "imageless" / "img")
    shutil.copy(root / "twice" / "img" / "0001.jpg", root / "twice" / "img" / "0001.png")
    with pytest.raises(UserError) as caught:
        get_dataset("folder", root)
    message = str(caught.value)
    assert message.startswith("6 of the sequences in")
    for words in (
        "text/groundtruth.txt, line 2: 'hello' is not a number",
        "has 4 boxes for 3 frames",
        "empty/groundtruth.txt is empty",
        "'unset': the first frame's box",
        "imageless has groundtruth.txt but no images",
        "twice/img holds frames twice",
    ):
        assert words in message.replace("\\", "/")


def test_folders_without_ground_truth_are_left_out_aloud(
    write_sequence: Write, caplog: pytest.LogCaptureFixture
) -> None:
    root = write_sequence("Girl", 3).parent
    (write_sequence("NoTruth", 3) / "groundtruth.txt").unlink()
    (root / "notes").mkdir()
    (root / "readme.txt").write_text("1,2,3,4")
    with caplog.at_level(logging.WARNING):
        assert names(root) == ["Girl"]
    assert "no ground truth, left out: NoTruth" in caplog.text


def test_nothing_there_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no sequences in .*img.*groundtruth.txt or groundtruth_rect.txt.*mp4"):
        get_dataset("folder", tmp_path)
    with pytest.raises(UserError, match="does not exist"):
        get_dataset("folder", tmp_path / "nowhere")


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clips" / "clip.mp4"
    path.parent.mkdir()
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 25, (64, 48))
    for index in range(7):
        writer.write(np.full((48, 64, 3), 30 * index, np.uint8))
    writer.release()
    return path


def test_videos_beside_text_files(clip: Path) -> None:
    clip.with_suffix(".txt").write_text("1,2,3,4\n" * 7)
    (clip.parent / "other.mp4").write_bytes(clip.read_bytes())  # without a text file: not a sequence
    sequences = get_dataset("folder", clip.parent)
    assert [(s.name, len(s)) for s in sequences] == [("clip", 7)]
    for index in (0, 5, 2, 6):  # also backwards
        assert abs(float(sequences[0].image(index).mean()) - 30 * index) < 6
    assert names(clip) == ["clip"], "the video file itself as path"


def test_video_faults(clip: Path) -> None:
    with pytest.raises(UserError, match="neither a folder nor a video with its ground truth"):
        get_dataset("folder", clip)
    clip.with_suffix(".txt").write_text("1,2,3,4\n" * 8)
    with pytest.raises(UserError, match="has 8 boxes for 7 frames"):
        get_dataset("folder", clip.parent)
    clip.write_bytes(b"no video" * 100)
    with pytest.raises(UserError, match=r"clip.mp4 cannot be opened"):
        get_dataset("folder", clip.parent)


@pytest.mark.data
def test_real_sequences(shared_sequences: Path) -> None:
    sequences = get_dataset("folder", shared_sequences)
    lengths = {"Crossing": 120, "Girl": 500, "wakeboard7": 67}
    assert {sequence.name: len(sequence) for sequence in sequences}.items() >= lengths.items()
    assert sequences["Crossing"].init_bbox() == [205, 151, 17, 50]
    assert sequences["Girl"].image(499).ndim == 3
