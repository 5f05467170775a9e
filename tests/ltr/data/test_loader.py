"""Batches: the same for any number of workers, any epoch, any point of resumption."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys

import pytest
import torch

from ltr.admin.errors import UserError
from ltr.data.loader import build_loader, collate
from ltr.data.sampler import SampleError


class Counting:
    """Sample ``index`` holds ``index`` and what its process is like."""

    samples_per_epoch = 10

    def __init__(self, broken: int = -1, crash: int = -1) -> None:
        self.broken, self.crash = broken, crash

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        if index == self.broken:
            raise UserError(f"cannot read image (data set 'vid', sample index {index})")
        if index == self.crash:
            raise ZeroDivisionError("oh")
        return {
            "index": torch.tensor(index),
            "threads": torch.tensor(torch.get_num_threads()),
            "process": torch.tensor(os.getpid()),
        }


def epoch_indices(loader: object) -> list[list[int]]:
    return [batch["index"].tolist() for batch in loader]  # type: ignore[attr-defined]


@pytest.mark.parametrize("workers", [0, 2])
def test_the_index_counts_on_through_the_epochs(workers: int) -> None:
    loader = build_loader(Counting(), 4, workers)
    assert len(loader) == 2
    loader.set_epoch(0)
    assert epoch_indices(loader) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    loader.set_epoch(3)
    assert epoch_indices(loader) == [[30, 31, 32, 33], [34, 35, 36, 37]]
    assert epoch_indices(loader) == [[30, 31, 32, 33], [34, 35, 36, 37]]
    loader.set_epoch(3, first_batch=1)
    assert epoch_indices(loader) == [[34, 35, 36, 37]]
    assert len(loader) == 2
    loader.set_epoch(3, first_batch=2)
    assert epoch_indices(loader) == []
    loader.close()


def test_the_last_batch_may_be_short() -> None:
    loader = build_loader(Counting(), 4, drop_last=False)
    assert len(loader) == 3
    assert epoch_indices(loader)[-1] == [8, 9]
    loader.set_epoch(0, first_batch=3)
    assert epoch_indices(loader) == []


def test_workers_live_on_use_one_thread_and_may_be_left_in_mid_epoch() -> None:
    loader = build_loader(Counting(), 2, 2, epoch_length=6)
    batches = list(loader)
    processes = {int(p) for b in batches for p in b["process"]}
    assert os.getpid() not in processes
    assert {int(t) for b in batches for t in b["threads"]} == {1}
    for _ in loader:
        break
    loader.set_epoch(1)
    later = list(loader)
    assert [b["index"].tolist() for b in later] == [[6, 7], [8, 9], [10, 11]]
    assert {int(p) for b in later for p in b["process"]} == processes
    loader.num_workers = 0
    assert {int(p) for b in loader for p in b["process"]} == {os.getpid()}


def test_loading_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    list(build_loader(Counting(), 4))
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_in_a_worker_arrives_with_its_own_words(workers: int) -> None:
    with pytest.raises(UserError) as caught:
        list(build_loader(Counting(broken=6), 4, workers))
    assert str(caught.value) == "cannot read image (data set 'vid', sample index 6)"
    with pytest.raises(SampleError, match="ZeroDivisionError, sample index 6: oh") as crashed:
        list(build_loader(Counting(crash=6), 4, workers))
    assert "Traceback" in str(crashed.value) and "test_loader.py" in str(crashed.value)
    gc.collect()


SAMPLES = """
import os, signal, subprocess, sys, torch
from ltr.data.loader import build_loader
class Samples:
    samples_per_epoch = 2000
    def __getitem__(self, index):
        return {"index": torch.tensor(index)}
"""


def run_python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", SAMPLES + code],
        capture_output=True,
        text=True,
        timeout=60,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(not hasattr(signal, "sigwaitinfo"), reason="this system cannot tell who sent a signal")
def test_signals_to_the_group_do_not_kill_workers() -> None:
    out = run_python("""
seen = []
for name in (signal.SIGTERM, signal.SIGINT):
    signal.signal(name, lambda *args: seen.append(args[0]))
total = 0
for number, batch in enumerate(build_loader(Samples(), 4, 2)):
    total += len(batch["index"])
    if number == 100:
        for name in ("TERM", "INT"):
            subprocess.run(["/bin/kill", f"-{name}", "--", f"-{os.getpgid(0)}"])
print(total, len(seen))
""")
    assert out.split() == ["2000", "2"]


def test_a_program_ends_though_a_loader_is_left_open() -> None:
    out = run_python("""
loader = build_loader(Samples(), 4, 2)
batches = iter(loader)
next(batches)
sys.keep = batches
print("end")
""")
    assert out == "end\n"


def test_samples_of_one_batch_must_match() -> None:
    with pytest.raises(ValueError, match=r"different entries: \['a'\] and \['b'\]"):
        collate([{"a": torch.zeros(1)}, {"b": torch.zeros(1)}])
    with pytest.raises(ValueError, match=r"'a' has different shapes in one batch: \[\(1,\), \(2,\)\]"):
        collate([{"a": torch.zeros(1)}, {"a": torch.zeros(2)}])


def test_arguments_out_of_range_are_refused() -> None:
    for arguments in ((0, 0), (4, -1)):
        with pytest.raises(ValueError, match="batch_size"):
            build_loader(Counting(), *arguments)
    with pytest.raises(ValueError, match="no whole batch of 11"):
        build_loader(Counting(), 11)
    with pytest.raises(ValueError, match="num_workers"):
        build_loader(Counting(), 2).num_workers = -1
