"""The runner: resumes, survives failures and deaths, repeats itself, and never mixes results."""

from __future__ import annotations

import json
import logging
import resource
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ltr.admin.errors import UsageError, UserError
from pytracking.evaluation.datasets.registry import get_dataset
from pytracking.evaluation.job import Progress
from pytracking.evaluation.results import ResultStore
from pytracking.evaluation.run_facts import plain
from pytracking.evaluation.runner import run_dataset
from pytracking.evaluation.sequence import SequenceList
from pytracking.evaluation.tracker_spec import TrackerSpec

pytestmark = pytest.mark.usefixtures("stub_plugin")
MakeSequences = Callable[..., SequenceList]


@pytest.fixture
def store(tmp_path: Path) -> ResultStore:
    return ResultStore(tmp_path / "results", "stub", "default")


@pytest.fixture
def on_disk(write_sequence: Callable[..., Path]) -> SequenceList:
    """Four sequences whose first boxes have x = 10, 20, 30, 40."""
    for number, name in enumerate("abcd"):
        folder = write_sequence(name, 5 + number, first_x=10.0 * (number + 1))
    return get_dataset("folder", folder.parent)


def boxes_of(store: ResultStore) -> dict[str, str]:
    return {path.name: path.read_text() for path in store.folder.glob("?.txt")}


def spec(**overrides: object) -> TrackerSpec:
    return TrackerSpec("stub", overrides=overrides)


@pytest.mark.parametrize("threads", [0, 2])
def test_every_sequence_gets_its_files(on_disk: SequenceList, store: ResultStore, threads: int) -> None:
    events: list[Progress] = []
    summary = run_dataset(on_disk, spec(), store, threads, on_progress=events.append)
    assert sorted(done.sequence for done in summary.done) == list("abcd")
    assert summary.skipped == () and summary.failures == () and summary.fps is not None and summary.fps > 0
    for sequence in on_disk:
        result = store.read(sequence.name)
        assert result.boxes.shape == (len(sequence), 4)
        assert result.times is not None and result.times.shape == (len(sequence),)
        assert result.scores is not None and result.scores[1] == 0.5
        np.testing.assert_array_equal(result.boxes[0], sequence.init_bbox())
    tracked = Counter()
    for event in events:
        tracked[event.sequence] += event.frames
    assert tracked == {sequence.name: len(sequence) for sequence in on_disk}
    assert Counter(event.kind for event in events)["done"] == 4


def test_results_depend_neither_on_workers_nor_on_order(on_disk: SequenceList, tmp_path: Path) -> None:
    stores = [ResultStore(tmp_path / str(number), "stub", "default") for number in range(3)]
    run_dataset(on_disk, spec(), stores[0], 0)
    run_dataset(SequenceList(reversed(on_disk)), spec(), stores[1], 0)
    run_dataset(on_disk, spec(), stores[2], 3)
    assert len(boxes_of(stores[0])) == 4
    assert boxes_of(stores[0]) == boxes_of(stores[1]) == boxes_of(stores[2])


def test_seed_and_run_id_change_the_results(memory_sequences: MakeSequences, tmp_path: Path) -> None:
    texts = []
    for number, (seed, run_id) in enumerate([(0, None), (1, None), (0, 1), (0, 2)]):
        store = ResultStore(tmp_path / str(number), "stub", "default", run_id)
        run_dataset(memory_sequences(["a", "b"]), TrackerSpec("stub", seed=seed), store)
        texts.append(boxes_of(store)["a.txt"])
        assert store.read("a").boxes[5, 1] != store.read("b").boxes[5, 1], "sequences have seeds of their own"
    assert len(set(texts)) == 4


@pytest.mark.parametrize("threads", [0, 2])
def test_tracker_is_built_once_per_worker(
    on_disk: SequenceList, store: ResultStore, threads: int, tmp_path: Path
) -> None:
    run_dataset(on_disk, spec(built=str(tmp_path / "built")), store, threads)
    assert len((tmp_path / "built").read_text().splitlines()) == max(1, threads)


def test_complete_results_are_skipped_and_others_replaced(
    memory_sequences: MakeSequences, store: ResultStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sequences = memory_sequences(["a", "b", "c"])
    run_dataset(sequences, spec(), store)
    undisturbed = boxes_of(store)
    (store.folder / "b.txt").write_text("\n".join(undisturbed["b.txt"].splitlines()[:3]))  # as if cut off
    (store.folder / "c.txt").unlink()
    events: list[Progress] = []
    summary = run_dataset(sequences, spec(), store, on_progress=events.append)
    assert summary.skipped == ("a",) and [done.sequence for done in summary.done] == ["b", "c"]
    assert boxes_of(store) == undisturbed
    assert "b.txt is not a whole result of 6 frames" in caplog.text
    assert Progress("skipped", "a", 6) in events


def test_nothing_to_do_builds_no_tracker(memory_sequences: MakeSequences, store: ResultStore, tmp_path: Path) -> None:
    run_dataset(memory_sequences(["a"]), spec(built=str(tmp_path / "built")), store)
    for threads in (0, 2):
        run_dataset(memory_sequences(["a"]), spec(built=str(tmp_path / "built")), store, threads)
    assert len((tmp_path / "built").read_text().splitlines()) == 1


@pytest.mark.parametrize("threads", [0, 2])
def test_a_failure_costs_its_sequence_only(
    on_disk: SequenceList, store: ResultStore, threads: int, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        summary = run_dataset(on_disk, spec(fail_x=20.0), store, threads)
    assert [failure.sequence for failure in summary.failures] == ["b"]
    failure = summary.failures[0]
    assert failure.frames == 3 and failure.message == "frame 3: ArithmeticError: the filter is singular"
    assert "Traceback" in caplog.text and "b: frame 3" in caplog.text
    assert len(summary.done) == 3 and not store.is_complete("b")
    assert len((store.folder / "b.partial.txt").read_text().splitlines()) == 3, "what was found is kept"


def test_a_worker_that_dies_costs_its_sequence_only(on_disk: SequenceList, store: ResultStore) -> None:
    summary = run_dataset(on_disk, spec(die_x=40.0), store, 1)  # the longest, so the first to start
    assert [failure.sequence for failure in summary.failures] == ["d"]
    assert "SIGKILL" in summary.failures[0].message
    assert sorted(done.sequence for done in summary.done) == list("abc")


@pytest.mark.parametrize("threads", [0, 1])
def test_frames_that_cannot_be_used(on_disk: SequenceList, store: ResultStore, threads: int) -> None:
    import cv2

    frames = [sequence.frames for sequence in on_disk]
    assert isinstance(frames[0], list) and isinstance(frames[1], list)
    frames[0][3].write_bytes(b"damaged")
    cv2.imwrite(str(frames[1][2]), np.zeros((50, 60, 3), np.uint8))
    summary = run_dataset(on_disk, spec(), store, threads)
    messages = {failure.sequence: failure.message for failure in summary.failures}
    assert set(messages) == {"a", "b"} and len(summary.done) == 2
    assert "frame 3 of sequence 'a'" in messages["a"] and "0004.jpg" in messages["a"]
    assert "60 x 50" in messages["b"] and "64 x 48" in messages["b"], "both sizes are named"
    assert all(failure.trace == "" for failure in summary.failures), "no traceback for faults of the input"


@pytest.mark.parametrize("threads", [0, 2])
def test_a_tracker_that_cannot_be_built_is_an_error_at_once(
    on_disk: SequenceList, store: ResultStore, threads: int
) -> None:
    with pytest.raises((UserError, RuntimeError), match="weights are not for me"):
        run_dataset(on_disk, spec(weights="some"), store, threads)
    assert not store.folder.parent.exists(), "a false start leaves no empty folders"


def test_unknown_names_are_found_before_anything_runs(on_disk: SequenceList, store: ResultStore) -> None:
    for wrong, words in [
        (TrackerSpec("stubb"), "unknown tracker 'stubb'; did you mean 'stub'"),
        (TrackerSpec("stub", "defualt"), "did you mean 'default'"),
        (spec(noize=3), "did you mean 'noise'"),
        (spec(noise="loud"), "noise"),
    ]:
        with pytest.raises(UsageError, match=words):
            run_dataset(on_disk, wrong, store, 2)
    assert not store.folder.exists()


def test_results_of_other_settings_are_not_mixed(memory_sequences: MakeSequences, store: ResultStore) -> None:
    run_dataset(memory_sequences(["a"]), spec(), store)
    before = boxes_of(store)
    with pytest.raises(UserError, match=r"other settings \(parameters.noise: 1.0 -> 2.0\).*--runid"):
        run_dataset(memory_sequences(["a", "b"]), spec(noise=2.0), store)
    with pytest.raises(UserError, match="seed: 0 -> 5"):
        run_dataset(memory_sequences(["a", "b"]), TrackerSpec("stub", seed=5), store)
    assert boxes_of(store) == before
    (store.folder / "a.txt").unlink()
    run_dataset(memory_sequences(["a"]), spec(), store)


def test_results_of_another_sequence_of_that_name_are_not_taken(
    memory_sequences: MakeSequences, store: ResultStore
) -> None:
    run_dataset(memory_sequences(["a", "b"]), spec(), store)
    swapped = memory_sequences(["b", "a"])
    with pytest.raises(UserError, match=r"b.txt starts at \[20.*--runid"):
        run_dataset(swapped, spec(), store)


def test_old_results_of_pytracking_count_as_complete(memory_sequences: MakeSequences, store: ResultStore) -> None:
    store.folder.mkdir(parents=True)
    (store.folder / "a.txt").write_text("10\t12\t16\t14\n" * 6)
    assert run_dataset(memory_sequences(["a"]), spec(), store).skipped == ("a",)


def test_names_whose_files_collide(memory_sequences: MakeSequences, store: ResultStore) -> None:
    with pytest.raises(UserError, match=r"'car' and 'car_time' would both write car_time.txt"):
        run_dataset(memory_sequences(["car", "car_time"]), spec(), store)


def test_run_json(memory_sequences: MakeSequences, store: ResultStore) -> None:
    run_dataset(memory_sequences(["a"]), TrackerSpec("stub", overrides={"noise": "0.5"}, seed=3), store)
    facts = json.loads((store.folder / "run.json").read_text())
    assert facts["tracker"] == "stub" and facts["seed"] == 3 and facts["datasets"] == ["test"]
    assert facts["parameters"]["noise"] == 0.5 and facts["overrides"] == {"noise": "0.5"}
    assert facts["versions"]["numpy"] == np.__version__


def test_settings_as_json_are_the_same_for_equal_settings() -> None:
    class Bag:
        def __init__(self) -> None:
            self.size, self.feature, self.me, self._hidden = (3, 4), object(), self, 1

    assert plain(Bag()) == plain(Bag())
    assert plain(Bag())["size"] == [3, 4] and "_hidden" not in plain(Bag())
    json.dumps(plain(Bag()))


def test_wrong_numbers_of_threads(on_disk: SequenceList, store: ResultStore) -> None:
    with pytest.raises(UsageError, match="-1"):
        run_dataset(on_disk, spec(), store, -1)
    with pytest.raises(UsageError, match="one process"):
        run_dataset(on_disk, spec(), store, 1, on_frame=lambda sequence: lambda frame: None)


def test_results_folder_that_is_a_file_is_found_before_tracking(on_disk: SequenceList, tmp_path: Path) -> None:
    (tmp_path / "results").write_text("")
    built = tmp_path / "built"
    with pytest.raises(UserError, match="cannot write"):
        run_dataset(on_disk, spec(built=str(built)), ResultStore(tmp_path / "results", "stub", "default"))
    assert not built.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on file sizes")
def test_a_full_disk_stops_the_run_and_saves_the_result_elsewhere(
    memory_sequences: MakeSequences, store: ResultStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sequences = memory_sequences(["a", "b"], n_frames=40)
    run_dataset(sequences[:1], spec(), store)
    complete = boxes_of(store)
    original, where = ResultStore.write, str(store.folder)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def write(self: ResultStore, *args: object) -> Path:
        """Files of one kilobyte at most, in the results folder only."""
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000 if str(self.folder) == where else soft, hard))
        try:
            return original(self, *args)  # type: ignore[arg-type]
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    monkeypatch.setattr(ResultStore, "write", write)
    with pytest.raises(UserError, match=r"cannot write .*b.txt.*The result of 'b' was saved as") as caught:
        run_dataset(sequences, spec(), store)
    assert boxes_of(store) == complete, "what was done stays, and nothing half-written appears"
    assert not list(store.folder.glob("*.tmp")) and not list(store.folder.glob(".*.tmp"))
    saved = Path(str(caught.value).split("saved as ")[1].split(": copy")[0])
    assert len(saved.read_text().splitlines()) == 40
