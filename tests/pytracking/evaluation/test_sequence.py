"""Sequences check their parts; lists find their members."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from ltr.admin.errors import UsageError, UserError
from pytracking.evaluation.sequence import Sequence, SequenceList, fit_ground_truth

BOXES = np.array([[1.0, 2, 3, 4], [2, 3, 4, 5]])


def test_images_and_first_box(write_sequence: Callable[..., Path]) -> None:
    folder = write_sequence("Girl", 2)
    frames = sorted((folder / "img").iterdir())
    sequence = Sequence("Girl", [str(frame) for frame in frames], BOXES, "mine", object_class="face")
    assert len(sequence) == 2 and sequence.frames == frames
    assert sequence.image(1).shape == (48, 64, 3)
    assert sequence.init_info() == {"init_bbox": [1.0, 2.0, 3.0, 4.0]}
    assert isinstance(sequence.init_info()["init_bbox"][0], float)
    copy = pickle.loads(pickle.dumps(sequence))
    assert copy.frames == frames and copy.object_class == "face"


def test_unreadable_frame_is_named(write_sequence: Callable[..., Path]) -> None:
    folder = write_sequence("Girl", 2)
    bad = folder / "img" / "0002.jpg"
    bad.write_bytes(b"not an image")
    sequence = Sequence("Girl", sorted((folder / "img").iterdir()), BOXES, "mine")
    with pytest.raises(UserError, match=r"frame 1 of sequence 'Girl'.*0002.jpg"):
        sequence.image(1)


def test_grey_alpha_and_16_bit_frames_from_disk(tmp_path: Path) -> None:
    for name, image in {
        "0.png": np.full((8, 9), 70, np.uint8),
        "1.png": np.full((8, 9, 4), 70, np.uint8),
        "2.png": np.full((8, 9, 3), 70 * 256 + 5, np.uint16),
    }.items():
        cv2.imwrite(str(tmp_path / name), image)
    sequence = Sequence("odd", sorted(tmp_path.iterdir()), np.ones((3, 4)), "mine")
    for index in range(3):
        image = sequence.image(index)
        assert image.shape == (8, 9, 3) and image.dtype == np.uint8 and (image == 70).all()


def test_frames_of_a_source_are_checked(memory_sequences: Callable[..., SequenceList]) -> None:
    sequence = memory_sequences(["a"], bad=2)[0]
    assert sequence.image(1).dtype == np.uint8
    with pytest.raises(UserError, match=r"frame 2 of sequence 'a'.*float32"):
        sequence.image(2)


@pytest.mark.parametrize(
    ("frames", "boxes", "words"),
    [
        ([], np.zeros((0, 4)), "no frames"),
        (["a", "b"], BOXES[:1], r"shape \(1, 4\), expected \(2, 4\)"),
        (["a", "b"], BOXES[:, :3], r"shape \(2, 3\)"),
        (["a", "b"], BOXES * [[np.nan], [1]], "first frame's box is .nan"),
        (["a", "b"], BOXES * [1, 1, 0, 1], "have an area"),
        (["a", "b"], BOXES * [1, 1, 1, -1], "have an area"),
    ],
)
def test_parts_that_do_not_fit(frames: list[str], boxes: np.ndarray, words: str) -> None:
    with pytest.raises(UserError, match=f"'x'.*{words}"):
        Sequence("x", frames, boxes, "mine")


def test_visibility_must_fit() -> None:
    with pytest.raises(UserError, match="visibility"):
        Sequence("x", ["a", "b"], BOXES, "mine", target_visible=np.ones(3))
    assert Sequence("x", ["a", "b"], BOXES, "mine", target_visible=[1, 0]).target_visible.tolist() == [True, False]


def test_list_finds_names_indices_and_slices(memory_sequences: Callable[..., SequenceList]) -> None:
    sequences = memory_sequences(["Girl", "Car4", "2", "Bolt"])
    assert sequences["Car4"] is sequences[1]
    assert [sequence.name for sequence in sequences[1:3]] == ["Car4", "2"]
    assert isinstance(sequences[1:3], SequenceList)
    assert isinstance(sequences + sequences[:1], SequenceList) and len(sequences + sequences[:1]) == 5
    assert sequences.select("Bolt")[0].name == "Bolt"
    assert sequences.select("3")[0].name == "Bolt"
    assert sequences.select("2")[0].name == "2", "a name goes before an index"


def test_near_misses_of_names_and_indices(memory_sequences: Callable[..., SequenceList]) -> None:
    sequences = memory_sequences(["Girl", "Car4"])
    with pytest.raises(UsageError, match="unknown sequence 'girl'; did you mean 'Girl'"):
        sequences["girl"]
    with pytest.raises(UsageError, match="from 0 to 1"):
        sequences.select("7")
    with pytest.raises(UsageError, match="unknown sequence '-1'"):
        sequences.select("-1")


def test_short_ground_truth_is_completed_with_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        boxes = fit_ground_truth(BOXES, 4, "gt.txt")
    assert boxes.shape == (4, 4) and np.isnan(boxes[2:]).all()
    np.testing.assert_array_equal(boxes[:2], BOXES)
    assert len(caplog.records) == 1 and "gt.txt has 2 boxes for 4 frames" in caplog.text


def test_more_boxes_than_frames_is_an_error() -> None:
    with pytest.raises(UserError, match=r"gt.txt has 2 boxes for 1 frames: frames are missing"):
        fit_ground_truth(BOXES, 1, "gt.txt")
