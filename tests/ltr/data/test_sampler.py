"""Frames a sample is made of, and what happens with data that cannot be used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from ltr.admin.errors import UserError
from ltr.data.sampler import RejectedSample, SampleError, TrackingSampler, choose_frames, usable_frames
from ltr.dataset.base import SequenceInfo, VideoDataset


class Numbered(VideoDataset):
    """Frames whose grey level is the frame id; boxes whose x is the frame id."""

    def __init__(
        self,
        name: str = "numbered",
        sequences: int = 3,
        frames: int = 40,
        visible: Sequence[bool] | None = None,
    ):
        self.name, self.sequences, self.num_frames = name, sequences, frames
        self.visible = np.ones(frames, bool) if visible is None else np.asarray(visible)

    def __len__(self) -> int:
        return self.sequences

    def sequence_info(self, seq_id: int) -> SequenceInfo:
        boxes = np.stack([np.arange(self.num_frames), np.full(self.num_frames, seq_id)], axis=1)
        boxes = np.concatenate([boxes, np.full((self.num_frames, 2), 5)], axis=1).astype(np.float32)
        return SequenceInfo(boxes, self.visible, f"{self.name}-{seq_id}")

    def frames(self, seq_id: int, frame_ids: Sequence[int]) -> list[np.ndarray]:
        return [np.full((4, 4, 3), i, np.uint8) for i in frame_ids]


def numbers(template_frames: Any, template_boxes: Any, search_frames: Any, search_boxes: Any, rng: Any) -> Any:
    for frame, box in zip(template_frames + search_frames, template_boxes + search_boxes, strict=True):
        assert frame[0, 0, 0] == box[0]
    return {
        "template": torch.tensor([f[0, 0, 0] for f in template_frames]).long(),
        "search": torch.tensor([f[0, 0, 0] for f in search_frames]).long(),
        "noise": torch.tensor(rng.random()),
    }


def test_a_sample_depends_on_seed_and_index_alone() -> None:
    first = TrackingSampler([Numbered()], None, numbers, 10, num_template=2, num_search=3, max_gap=8, seed=4)
    again = TrackingSampler([Numbered()], None, numbers, 10, num_template=2, num_search=3, max_gap=8, seed=4)
    other = TrackingSampler([Numbered()], None, numbers, 10, num_template=2, num_search=3, max_gap=8, seed=5)
    backwards = {i: again[i] for i in reversed(range(25))}
    for i in range(25):
        assert all(torch.equal(first[i][key], backwards[i][key]) for key in ("template", "search", "noise"))
    assert any(first[i]["noise"] != other[i]["noise"] for i in range(5))
    assert len({float(first[i]["noise"]) for i in range(25)}) == 25


@pytest.mark.parametrize("order", ["symmetric", "causal"])
def test_frames_stay_within_the_gap_and_differ(order: Any) -> None:
    visible = np.arange(40) % 3 != 0
    sampler = TrackingSampler([Numbered(visible=visible)], None, numbers, 10, 2, 3, max_gap=9, frame_order=order)
    before = after = 0
    for index in range(200):
        sample = sampler[index]
        template, search = sample["template"].numpy(), sample["search"].numpy()
        everything = np.concatenate([template, search])
        assert visible[everything].all()
        assert np.abs(everything - template[0]).max() <= 9
        assert template[0] not in search
        before += int((search < template[0]).sum())
        after += int((search > template[0]).sum())
        if order == "causal":
            assert (search > template[0]).all() and (template <= template[0]).all()
        else:
            assert len(set(everything.tolist())) == 5
    assert after > 100
    assert (before > 100) == (order == "symmetric")


def test_frames_repeat_only_where_there_are_too_few() -> None:
    rng = np.random.default_rng(0)
    chosen = choose_frames(np.array([3, 5]), 9, 2, 3, 4, "symmetric", rng)
    assert chosen is not None
    template, search = chosen
    assert {template[0], search[0]} == {3, 5} and len(set(search)) == 1 and len(template) == 2
    assert choose_frames(np.array([3, 5]), 9, 1, 1, 1, "symmetric", rng) is None
    assert choose_frames(np.array([], dtype=int), 9, 1, 1, 1, "symmetric", rng) is None
    assert choose_frames(np.array([0]), 1, 2, 1, 5, "causal", rng) == ([0, 0], [0])


def test_causal_sets_follow_the_official_rules() -> None:
    rng = np.random.default_rng(0)
    visible = np.arange(100)[np.arange(100) % 4 != 0]
    bases, seen = set(), set()
    for _ in range(400):
        chosen = choose_frames(visible, 100, 3, 3, 30, "causal_sets", rng)
        assert chosen is not None
        (base, *before), after = chosen
        assert {base, *before, *after} <= set(visible.tolist())
        assert 2 <= base < 97
        assert len(before) == 2 and all(base - 30 <= frame < base for frame in before)
        assert len(after) == 3 and all(base < frame < base + 30 for frame in after)
        bases.add(base)
        seen |= {base - frame for frame in before} | {frame - base for frame in after}
    assert len(bases) > 60
    assert seen == set(range(1, 31))  # 30 before, 29 after


def test_causal_sets_look_further_where_the_target_is_hidden() -> None:
    rng = np.random.default_rng(1)
    # Two groups of frames 40 apart: within 30 frames of a group's only base there is nothing on the other side.
    visible = np.array([2, *range(45, 58)])
    for _ in range(50):
        template, search = choose_frames(visible, 61, 2, 1, 30, "causal_sets", rng) or ([], [])
        assert template and search
        assert template[1] < template[0] < search[0]


@pytest.mark.parametrize(
    ("visible", "num_frames", "num_search"),
    [(range(19), 19, 3), (range(12), 40, 3), ([], 40, 3)],
    ids=["short", "few visible", "never visible"],
)
def test_causal_sets_refuse_what_cannot_serve(visible: Sequence[int], num_frames: int, num_search: int) -> None:
    rng = np.random.default_rng(0)
    assert choose_frames(np.array(visible, dtype=int), num_frames, 3, num_search, 30, "causal_sets", rng) is None


def test_causal_sets_of_a_still_repeat_it() -> None:
    rng = np.random.default_rng(0)
    assert choose_frames(np.array([0]), 1, 3, 3, 30, "causal_sets", rng) == ([0, 0, 0], [0, 0, 0])


def test_a_window_reaches_to_both_sides_and_holds_its_base() -> None:
    rng = np.random.default_rng(0)
    visible = np.arange(100)[np.arange(100) % 4 != 0]
    bases, seen = set(), set()
    for _ in range(2000):
        (base, other), search = choose_frames(visible, 100, 2, 1, 10, "window", rng) or ([], [])
        assert {base, other, *search} <= set(visible.tolist())
        bases.add(base)
        seen |= {frame - base for frame in (other, *search)}
    assert bases == set(visible.tolist())
    assert seen == set(range(-10, 10))  # 10 before, 9 after
    assert choose_frames(np.arange(5), 100, 1, 1, 10, "window", rng) is not None
    assert choose_frames(np.arange(4), 100, 1, 1, 10, "window", rng) is None
    assert choose_frames(np.arange(19), 19, 1, 1, 10, "window", rng) is None


def test_small_and_long_targets_can_be_left_out() -> None:
    sides = [(10, 30), (11, 30), (11, 54), (11, 55), (60, 12), (0, 9)]
    boxes = np.array([(0, 0, w, h) for w, h in sides], np.float32)
    info = SequenceInfo(boxes, np.ones(len(sides), bool), "x")
    assert usable_frames(info, 10, 5).tolist() == [1, 2]
    assert usable_frames(info).tolist() == [0, 1, 2, 3, 4]


def test_frames_without_a_box_are_not_used() -> None:
    boxes = np.array([[0, 0, 5, 5], [0, 0, 0, 5], [0, 0, 5, -1], [np.nan, 0, 5, 5], [1, 1, 2, 2]], np.float32)
    info = SequenceInfo(boxes, np.array([True, True, True, True, False]), "x")
    assert usable_frames(info).tolist() == [0]


def test_weights_say_how_often_each_data_set_is_drawn() -> None:
    sets = [Numbered("a", sequences=1), Numbered("b", sequences=7)]

    def share_of_a(weights: list[float] | None) -> float:
        names: list[str] = []

        class Spy(Numbered):
            def frames(self, seq_id: int, frame_ids: Sequence[int]) -> list[np.ndarray]:
                names.append(self.name)
                return super().frames(seq_id, frame_ids)

        sampler = TrackingSampler([Spy(s.name, s.sequences) for s in sets], weights, numbers, 10)
        for index in range(400):
            sampler[index]
        return names.count("a") / len(names)

    assert share_of_a([3, 1]) == pytest.approx(0.75, abs=0.08)
    assert share_of_a(None) == pytest.approx(0.125, abs=0.06)
    assert share_of_a([0, 1]) == 0


def test_a_data_set_without_visible_targets_is_named() -> None:
    sampler = TrackingSampler([Numbered("dark", visible=[False] * 40)], None, numbers, 10)
    with pytest.raises(UserError, match=r"100 draws for index 7 .*'dark'.*max_gap"):
        sampler[7]


def test_a_rejected_sample_is_drawn_again() -> None:
    calls: list[int] = []

    def fussy(template_frames: Any, *rest: Any) -> Any:
        calls.append(1)
        if len(calls) < 4:
            raise RejectedSample("target outside the crop")
        return numbers(template_frames, *rest)

    TrackingSampler([Numbered()], None, fussy, 10)[0]
    assert len(calls) == 4

    def never(*args: Any) -> Any:
        raise RejectedSample("target outside the crop")

    with pytest.raises(UserError, match="target outside the crop"):
        TrackingSampler([Numbered()], None, never, 10)[0]


class Faulty(Numbered):
    """Some of its frames cannot be read; of the sequences with even numbers no annotation can."""

    def __init__(self, name: str, frames: Sequence[int] = (), annotations: bool = True, error: Exception | None = None):
        super().__init__(name, 4)
        self.broken, self.annotated = set(frames), annotations
        self.error = error or UserError("cannot read x.jpg: convert it")

    def sequence_info(self, seq_id: int) -> SequenceInfo:
        if not self.annotated and seq_id % 2 == 0:
            raise self.error
        return super().sequence_info(seq_id)

    def frames(self, seq_id: int, frame_ids: Sequence[int]) -> list[np.ndarray]:
        if self.broken & set(frame_ids):
            raise self.error
        return super().frames(seq_id, frame_ids)


def test_broken_frames_are_left_out_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    whole, broken = Numbered("whole"), Faulty("vid", frames=range(0, 40, 5))
    sampler = TrackingSampler([whole, broken], [1, 1], numbers, 10)
    samples = [sampler[index] for index in range(200)]
    drawn, failed = sampler.faults.draws["vid"], sampler.faults.broken["vid"]
    assert sum(sampler.faults.draws.values()) == 200 + failed
    assert failed / drawn == pytest.approx(0.36, abs=0.12)  # either of the two frames
    assert sampler.faults.broken["whole"] == 0
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 2  # at the first and at the tenth
    assert lines[1].startswith("data set 'vid': 10 of ")
    for word in ("x.jpg", "sample index", "frames ["):
        assert word in lines[1]
    # The sample of an index does not depend on what was drawn before.
    again = TrackingSampler([whole, broken], [1, 1], numbers, 10)
    for index in (150, 7):
        assert all(torch.equal(again[index][key], value) for key, value in samples[index].items())


def test_a_data_set_that_is_mostly_broken_is_an_error() -> None:
    sampler = TrackingSampler([Numbered("whole"), Faulty("vid", frames=range(40))], [9, 1], numbers, 10)
    with pytest.raises(
        UserError,
        match=r"'vid' is mostly broken: 10 of 10 draws.*x\.jpg.*sequence \d \('vid-\d'\), sample index \d+, frames \[",
    ):
        for index in range(1000):
            sampler[index]


def test_half_of_the_annotations_may_be_broken_at_most() -> None:
    TrackingSampler([Faulty("vid", annotations=False)], None, numbers, 10)[0]
    sampler = TrackingSampler([Faulty("vid", range(20), annotations=False)], None, numbers, 10)
    with pytest.raises(UserError, match="'vid' is mostly broken"):
        for index in range(100):
            sampler[index]


def test_other_errors_stop_at_once() -> None:
    sampler = TrackingSampler([Faulty("vid", range(40), error=KeyError("depth"))], None, numbers, 10)
    with pytest.raises(SampleError, match=r"KeyError: 'depth' \(data set 'vid', sequence .*index 3, frames \["):
        sampler[3]


@pytest.mark.parametrize(
    "change",
    [
        {"samples_per_epoch": 0},
        {"num_template": 0},
        {"num_search": 0},
        {"max_gap": 0},
        {"frame_order": "random"},
        {"min_side": -1},
        {"max_aspect": 1.0},
        {"weights": [1, 2]},
        {"weights": [-1]},
        {"weights": [float("nan")]},
        {"weights": [0]},
        {"datasets": []},
    ],
)
def test_arguments_out_of_range_are_refused(change: dict[str, Any]) -> None:
    arguments: dict[str, Any] = {
        "datasets": [Numbered()],
        "weights": None,
        "processing": numbers,
        "samples_per_epoch": 5,
    }
    with pytest.raises(ValueError, match=r"must|weights|at least"):
        TrackingSampler(**{**arguments, **change})


def test_an_empty_data_set_is_refused() -> None:
    with pytest.raises(UserError, match="'nothing' has no sequences"):
        TrackingSampler([Numbered("nothing", sequences=0)], None, numbers, 5)
