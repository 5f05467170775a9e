"""The training command as users type it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ltr import run_training
from ltr.admin.checkpoint import load_train_state
from ltr.trainers.logs import read_log

ROOT = Path(__file__).resolve().parents[2]
TOYS = Path(__file__).resolve().parent / "trainers" / "toys"


@pytest.fixture(autouse=True)
def _toys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(TOYS))
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard.writer", None)


def command(*arguments: str, cwd: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(TOYS)}  # not the checkout: the file must find it itself
    return subprocess.Popen(
        [sys.executable, str(ROOT / "ltr" / "run_training.py"), *arguments],
        cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def run(*arguments: str) -> int:
    return run_training.main([*arguments, "--device", "cpu"])


def test_it_trains_changes_settings_and_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = ["toy_training", "default", "--workspace", str(tmp_path)]
    assert run(*place, "--set", "max_epochs=1", "optim.lr=0.01", "--set", "optim.clip=none", "--seed", "3") == 0
    folder = tmp_path / "toy_training" / "default"
    assert float(read_log(folder / "log.csv")[0]["lr"]) == 0.01
    state = load_train_state(folder / "train_state.pt")
    assert state["settings"]["seed"] == 3 and state["settings"]["optim.clip"] is None
    assert f"models in {folder}" in capsys.readouterr().err
    assert run(*place, "--set", "max_epochs=2", "optim.lr=0.01", "optim.clip=none", "seed=3", "--workers", "1") == 0
    assert "going on" in (err := capsys.readouterr().err) and "max_epochs: 1 -> 2" in err and "best loss" in err
    assert len(read_log(folder / "log.csv")) == 2
    assert run(*place, "--set", "max_epochs=1", "--no-resume", "--threads", "1", "--accumulate", "3") == 0
    assert [row["step"] for row in read_log(folder / "log.csv")] == ["2"]  # six batches
    assert len(read_log(folder / "previous_001" / "log.csv")) == 2


def test_a_file_run_from_elsewhere_survives_a_kill_and_a_signal(tmp_path: Path) -> None:
    long = ["toy_training", "default", "--device", "cpu", "--set", "max_epochs=100000", "checkpoint_every=7"]
    folder = tmp_path / "workspace" / "toy_training" / "default"

    def stop(signum: int, epochs: int) -> tuple[int, str]:
        process = command(*long, "--workers", "1", cwd=tmp_path)
        try:
            deadline = time.monotonic() + 120
            while not (folder / "log.csv").exists() or len(read_log(folder / "log.csv")) < epochs:
                assert process.poll() is None and time.monotonic() < deadline, process.communicate()
                time.sleep(0.05)
            process.send_signal(signum)
            error = process.communicate(timeout=60)[1]
        finally:
            process.kill()
        return process.returncode, error

    assert stop(signal.SIGKILL, 2)[0] == -signal.SIGKILL
    code, error = stop(signal.SIGTERM, 4)
    assert code == 128 + signal.SIGTERM, error
    assert "going on in" in error and "the same command goes on" in error
    epochs = [int(row["epoch"]) for row in read_log(folder / "log.csv")]
    assert epochs == list(range(1, len(epochs) + 1))


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["edfc", "default"], 2, "unknown train module 'edfc'"),
        (["toy_training", "defalt"], 2, "did you mean 'default'"),
        (["toy_training"], 2, "a module and a setting are needed"),
        (["toy_training", "default", "--set", "optim.momentun=1"], 2, "did you mean 'momentum'"),
        (["toy_training", "default", "--set", "max_epochs=many"], 2, "max_epochs=many"),
        (["toy_training", "default", "--set", "max_epochs"], 2, "name=value"),
        (["toy_training", "default", "--set", "poison=2"], 1, "distance = nan in epoch 1, batch 3"),
        (["toy_training", "default", "--set", "broken=6"], 1, "data set 'toy_videos' is mostly broken"),
    ],
)
def test_wrong_input_gets_a_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], status: int, words: str
) -> None:
    assert run(*arguments, "--workspace", str(tmp_path)) == status
    error = capsys.readouterr().err
    assert words in error and "Traceback" not in error


@pytest.mark.slow
def test_torchrun_trains_in_two_processes_and_tells_an_error_once(tmp_path: Path) -> None:
    pytest.importorskip("torch.distributed.run")

    def torchrun(*changes: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
             str(ROOT / "ltr" / "run_training.py"), "toy_training", "default", "--device", "cpu",
             "--workspace", str(tmp_path), "--set", "checkpoint_every=1", *changes],
            env={**os.environ, "PYTHONPATH": str(TOYS)}, capture_output=True, text=True, timeout=240, check=False,
        )  # fmt: skip
        return done.returncode, done.stderr

    folder = tmp_path / "toy_training" / "default"
    status, error = torchrun("max_epochs=1")
    assert status == 0, error
    assert error.count("trained 1 epochs") == error.count("epoch 1/1: ") == 1 and "find_unused" not in error
    assert load_train_state(folder / "train_state.pt")["position"]["samples"] == 0
    assert [row["step"] for row in read_log(folder / "log.csv")] == ["3"]
    status, error = torchrun("max_epochs=2", "poison=1")
    assert status == 1 and error.count("\nerror: ") == 1 and error.count("distance = nan in epoch 2, batch 2") == 1


def test_a_workspace_that_is_a_file_gets_a_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert run("toy_training", "default", "--workspace", str(tmp_path / "file")) == 1
    assert str(tmp_path / "file") in capsys.readouterr().err


def test_a_crash_keeps_its_traceback(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        run("toy_training", "default", "--set", "crash=0", "--workspace", str(tmp_path))


@pytest.mark.parametrize("flag", ["--workers=-1", "--threads=x", "--seed=a"])
def test_wrong_flags_are_wrong_usage(flag: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        run("toy_training", "default", flag)
    assert stopped.value.code == 2


def test_lists(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--list") == 0
    assert "edcf: " in capsys.readouterr().out
    assert run("toy_training", "--list") == 0
    assert capsys.readouterr().out == "toy_training: default\n"
    assert run("toy_training", "default", "--list", "--set", "optim.lr=0.5") == 0
    assert "optim.lr = 0.5\n" in capsys.readouterr().out


def test_help_fits_a_screen_and_has_an_example(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        run("--help")
    text = capsys.readouterr().out
    assert "example: ltr-train edcf" in text and len(text.splitlines()) <= 36


def test_a_bar_on_a_terminal_and_lines_elsewhere(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("tqdm")
    from ltr.trainers.progress import Progress

    step = Progress("train", 2, 5, 3, 4, 0.25, 80.0, 0.5)
    with caplog.at_level("INFO"), run_training.ProgressBar(seconds_between_lines=0) as bar:
        bar.show(step)
    assert "train 2/5: batch 3/4, loss 0.25, 80.0 samples/s, data wait 50%" in caplog.text
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with run_training.ProgressBar() as bar:
        bar.show(step)
        bar.show(Progress("val", 2, 5, 1, 4, None, 80.0, 0.5))
    shown = capsys.readouterr().err
    assert "train 2/5" in shown and "80.0 samples/s, data wait 50%" in shown and "val 2/5" in shown
