"""The command line `run_tracker.py`, as users and scripts call it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pytracking.run_tracker import main

REPOSITORY = Path(__file__).resolve().parents[3]
pytestmark = pytest.mark.usefixtures("stub_plugin")


def command(*arguments: object) -> list[str]:
    return [sys.executable, str(REPOSITORY / "pytracking" / "run_tracker.py"), *map(str, arguments)]


def run(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), capture_output=True, text=True, cwd=cwd, check=False, timeout=120)


@pytest.fixture
def data(write_sequence: Callable[..., Path]) -> Path:
    for number, name in enumerate("abcd"):
        folder = write_sequence(name, 6, first_x=10.0 * (number + 1))
    return folder.parent


def results(root: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in (root / "stub" / "default").glob("?.txt")}


def test_runs_from_any_folder_and_ends_with_one_line(data: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    done = run("stub", "default", "folder", "--dataset_path", data, cwd=elsewhere)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"stub default: sequences 4 done, [\d.]+ frames/s; results in .+\n", done.stdout)
    assert done.stderr == "", "no progress bar where there is no terminal"
    assert len(results(elsewhere / "results")) == 4, "./results is the default"
    again = run("stub", "default", "folder", "--dataset_path", data, cwd=elsewhere)
    assert again.returncode == 0 and "0 done, 4 skipped (complete before); results in" in again.stdout


def test_options(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = run("stub", "default", "--dataset_name", "folder", "--dataset_path", data, "--results", out,
               "--sequence", "c", "--runid", 3, "--seed", 5, "--set", "noise=0", "delay=0.001")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (out / "stub" / "default_003").glob("*.txt")) == [
        "c.txt", "c_scores.txt", "c_time.txt",
    ]  # fmt: skip
    assert run("stub", "default", "folder", "--dataset_path", data, "--results", out, "--sequence", 1).returncode == 0
    assert list(results(out)) == ["b.txt"]


def test_failures_are_named_and_the_status_is_1(data: Path, tmp_path: Path) -> None:
    done = run("stub", "default", "folder", "--dataset_path", data, "--results", tmp_path, "--set", "fail_x=20",
               "--threads", 2)  # fmt: skip
    assert done.returncode == 1
    assert "3 done, 1 FAILED (b)" in done.stdout
    assert "error: b: frame 3: ArithmeticError: the filter is singular" in done.stderr and "Traceback" in done.stderr
    assert sorted(results(tmp_path)) == ["a.txt", "c.txt", "d.txt"]


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("threads", [0, 2])
def test_a_killed_run_goes_on_where_it_was(
    data: Path, tmp_path: Path, threads: int, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["stub", "default", "folder", "--dataset_path", str(data), "--set", "delay=0.05"]
    assert main([*arguments, "--results", str(tmp_path / "undisturbed")]) == 0
    capsys.readouterr()

    killed = tmp_path / "killed"
    arguments += ["--threads", str(threads), "--results", str(killed)]
    process = subprocess.Popen(command(*arguments), stdout=subprocess.DEVNULL)
    while not results(killed) and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    time.sleep(0.4)  # workers notice with their next report
    before = results(killed)
    assert 1 <= len(before) < 4, "killed in mid-run"

    assert main(arguments) == 0
    assert f"{len(before)} skipped (complete before)" in capsys.readouterr().out
    assert results(killed) == results(tmp_path / "undisturbed")
    assert {name: text for name, text in results(killed).items() if name in before} == before


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_interrupted_by_the_keyboard(data: Path, tmp_path: Path) -> None:
    process = subprocess.Popen(
        command("stub", "default", "folder", "--dataset_path", data, "--results", tmp_path, "--set", "delay=0.2"),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while not results(tmp_path) and process.poll() is None:
        time.sleep(0.01)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and errors.strip() == "interrupted"
    assert list((tmp_path / "stub" / "default").glob("*.partial.txt")), "the boxes so far are kept"


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["stub"], 2, "--list"),
        (["stub", "default"], 2, "name a data set as third argument; available: folder, otb"),
        (["stub", "default", "otb", "--dataset_name", "folder"], 2, "two data sets are named"),
        (["stub", "default", "foldr"], 2, "did you mean 'folder'"),
        (["stub", "default", "otb"], 1, "otb = "),
        (["stub", "default", "folder", "--dataset_path", "/nowhere"], 1, "/nowhere does not exist"),
        (["stubb", "default", "folder", "--dataset_path", "DATA"], 2, "did you mean 'stub'"),
        (["stub", "defalt", "folder", "--dataset_path", "DATA"], 2, "did you mean 'default'"),
        (["stub", "default", "folder", "--dataset_path", "DATA", "--sequence", "e"], 2, "unknown sequence 'e'"),
        (["stub", "default", "folder", "--dataset_path", "DATA", "--set", "noise"], 2, "noise"),
        (["stub", "default", "folder", "--dataset_path", "DATA", "--set", "nois=1"], 2, "did you mean 'noise'"),
        (["stub", "default", "folder", "--dataset_path", "DATA", "--runid", "-1"], 1, "run id -1"),
        (["stub", "default", "folder", "--dataset_path", "DATA", "--results", "DATA/a/img/0001.jpg"], 1, "cannot"),
        (["stub", "default", "folder", "--threads", "two"], 2, "invalid int value: 'two'"),
    ],
)
def test_wrong_usage(
    data: Path, arguments: list[str], status: int, words: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    arguments = [argument.replace("DATA", str(data)) for argument in arguments]
    if "--results" not in arguments and len(arguments) > 1:
        arguments += ["--results", str(tmp_path / "out")]
    try:
        returned = main(arguments)
    except SystemExit as error:  # argparse's own
        returned = int(error.code or 0)
    captured = capsys.readouterr()
    assert returned == status, captured.err
    assert words in captured.err and "Traceback" not in captured.err
    assert not results(tmp_path / "out")


def test_debug_writes_pictures_and_changes_no_result(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["stub", "default", "folder", "--dataset_path", str(data), "--results", str(tmp_path / "out")]
    assert main([*arguments, "--sequence", "a", "--debug", "2"]) == 0
    assert len(list((tmp_path / "out" / "stub" / "default" / "debug" / "a").glob("*.jpg"))) == 6
    assert main([*arguments, "--sequence", "b"]) == 0, "the level is no other setting"
    assert main([*arguments, "--debug", "1", "--threads", "1"]) == 2
    assert "one process" in capsys.readouterr().err


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^  stub: default$", out, re.MULTILINE)
    assert re.search(r"^  folder$", out, re.MULTILINE)


@pytest.mark.parametrize("script", ["run_tracker", "run_video"])
def test_help_fits_a_screen_and_shows_an_example(script: str) -> None:
    environment = {**os.environ, "COLUMNS": "80"}
    done = subprocess.run(
        [sys.executable, "-m", f"pytracking.{script}", "--help"],
        capture_output=True, text=True, check=True, env=environment,
    )  # fmt: skip
    lines = done.stdout.splitlines()
    assert len(lines) <= 40 and max(map(len, lines)) <= 80
    assert f"example: {script}.py" in done.stdout


def test_help_loads_no_torch() -> None:
    code = "import sys, pytracking.run_tracker, pytracking.run_video; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.data
def test_real_sequences(shared_sequences: Path, tmp_path: Path) -> None:
    done = run("stub", "default", "folder", "--dataset_path", shared_sequences, "--sequence", "wakeboard7",
               "--results", tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len((tmp_path / "stub" / "default" / "wakeboard7.txt").read_text().splitlines()) == 67


def test_a_misspelt_tracker_is_told_before_a_missing_data_set(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stbu", "default", "folder", "--dataset_path", "/missing"]) == 2
    assert "unknown tracker 'stbu'" in capsys.readouterr().err
