"""Tracking one sequence: order of frames, timing, and what is left after a failure."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from ltr.admin.errors import UserError
from pytracking.evaluation.sequence import SequenceList
from pytracking.evaluation.track import Recording, TrackedFrame, read_ahead, track_sequence

MakeSequences = Callable[..., SequenceList]


class Recorder:
    """A tracker that remembers what it was given and puts the frame's value into its box."""

    def __init__(self, fail_at: int | None = None) -> None:
        self.calls: list[tuple[str, int]] = []
        self.info: Mapping[str, Any] = {}
        self.fail_at = fail_at

    def initialize(self, image: np.ndarray, info: Mapping[str, Any]) -> dict[str, Any]:
        self.calls.append(("initialize", int(image[0, 0, 0])))
        self.info = info
        return {"target_bbox": [0.0, 0.0, 1.0, 1.0], "time": 7.0}

    def track(self, image: np.ndarray, info: Any = None) -> dict[str, Any]:
        value = int(image[0, 0, 0])
        if value == self.fail_at:
            raise ZeroDivisionError
        self.calls.append(("track", value))
        return {"target_bbox": [value, 1, 2, 3], "time": 0.5, "score": value / 10}


def test_frames_come_in_order_and_results_are_kept(memory_sequences: MakeSequences) -> None:
    sequence = memory_sequences(["a"], n_frames=12)[0]
    tracker, recording, seen = Recorder(), Recording(12), []
    track_sequence(tracker, sequence, 99, recording, seen.append)
    assert tracker.calls == [("initialize", 0), *(("track", index) for index in range(1, 12))]
    assert tracker.info == {"init_bbox": [10.0, 12.0, 16.0, 14.0], "seed": 99}
    assert recording.count == 12
    np.testing.assert_array_equal(recording.boxes[0], [10, 12, 16, 14])  # the given box, not the tracker's
    np.testing.assert_array_equal(recording.boxes[1:, 0], range(1, 12))
    assert recording.times.tolist() == [7.0] + [0.5] * 11
    assert np.isnan(recording.scores[0]) and recording.scores[11] == pytest.approx(1.1)
    assert [frame.index for frame in seen] == list(range(12)) and seen[3].image[0, 0, 0] == 3


def test_a_failure_leaves_what_was_found_and_no_thread(memory_sequences: MakeSequences) -> None:
    recording = Recording(6)
    with pytest.raises(ZeroDivisionError):
        track_sequence(Recorder(fail_at=4), memory_sequences(["a"])[0], 0, recording)
    assert recording.count == 4
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("frame-reader")]


def test_an_unreadable_frame_is_an_error_when_its_turn_comes(memory_sequences: MakeSequences) -> None:
    recording = Recording(6)
    with pytest.raises(UserError, match="frame 4 of sequence 'a'"):
        track_sequence(Recorder(), memory_sequences(["a"], bad=4)[0], 0, recording)
    assert recording.count == 4, "the frames before it were tracked"


def test_reading_ahead_is_bounded(memory_sequences: MakeSequences) -> None:
    sequence = memory_sequences(["a"], n_frames=50)[0]
    read: list[int] = []
    original = sequence.image
    sequence.image = lambda index: (read.append(index), original(index))[1]  # type: ignore[method-assign]
    frames = read_ahead(sequence)
    next(frames)
    time.sleep(0.05)
    assert 1 <= len(read) <= 6, "a long video must not fill the memory"
    frames.close()
    assert len(read) <= 6


def test_recording_grows() -> None:
    recording = Recording(1)
    for index in range(5):
        recording.add(TrackedFrame(index, np.zeros(0), {}, [index, 0, 1, 1], 0.1))
    assert recording.boxes[:, 0].tolist() == [0, 1, 2, 3, 4]
