"""Result files: whole or absent, readable by pytracking's users and from theirs."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from ltr.admin.errors import UserError
from pytracking.evaluation.results import ResultStore

BOXES = np.array([[1.0, 2.0, 3.0, 4.0], [1.23456, -2.0, 3.0, 4.0], [1e3, 2.0, 3.0, 4.0]])
TIMES = np.array([0.5, 0.01, 0.0123456])


@pytest.fixture
def store(tmp_path: Path) -> ResultStore:
    return ResultStore(tmp_path / "results", "edcf", "default")


def test_folder_names(tmp_path: Path) -> None:
    assert ResultStore(tmp_path, "edcf", "default").folder == tmp_path / "edcf" / "default"
    assert ResultStore(tmp_path, "edcf", "default", 7).folder == tmp_path / "edcf" / "default_007"
    assert not (tmp_path / "edcf").exists(), "naming a store creates nothing"


def test_files_as_pytracking_writes_them(store: ResultStore) -> None:
    store.write("Girl", BOXES, TIMES, np.array([np.nan, 0.25, 1]))
    assert (store.folder / "Girl.txt").read_text().splitlines()[1] == "1.2346\t-2.0000\t3.0000\t4.0000"
    assert (store.folder / "Girl_time.txt").read_text().splitlines()[2] == "0.012346"
    assert (store.folder / "Girl_scores.txt").read_text().splitlines() == ["nan", "0.250000", "1.000000"]
    result = store.read("Girl")
    np.testing.assert_allclose(result.boxes, BOXES, atol=1e-4)
    assert result.times is not None and result.scores is not None
    np.testing.assert_allclose(result.times, TIMES, atol=1e-6)
    np.testing.assert_allclose(result.scores, [np.nan, 0.25, 1])


def test_scores_of_an_earlier_run_do_not_stay(store: ResultStore) -> None:
    store.write("Girl", BOXES, TIMES, np.ones(3))
    store.write("Girl", BOXES, TIMES, np.full(3, np.nan))
    assert store.read("Girl").scores is None


@pytest.mark.parametrize("separator", ["\t", ","])
def test_old_results_of_pytracking_are_read(store: ResultStore, separator: str) -> None:
    store.folder.mkdir(parents=True)
    rows = "\n".join(separator.join(str(int(value)) for value in row) for row in BOXES)
    (store.folder / "Girl.txt").write_text(rows + "\n")
    result = store.read("Girl")
    np.testing.assert_array_equal(result.boxes, np.trunc(BOXES))
    assert result.times is None and result.scores is None
    assert store.is_complete("Girl", 3)


def test_complete_means_readable_and_of_the_right_length(store: ResultStore) -> None:
    assert not store.is_complete("Girl")
    store.write("Girl", BOXES, TIMES)
    assert store.is_complete("Girl") and store.is_complete("Girl", 3)
    assert not store.is_complete("Girl", 4) and not store.is_complete("Girl", 2)
    for broken in ("", "1,2,3\n", "text\n", "1,2,3,4\nnan,nan,nan,nan\n"):
        (store.folder / "Girl.txt").write_text(broken)
        assert not store.is_complete("Girl")


def test_partial_result_is_apart_and_goes_when_the_whole_one_comes(store: ResultStore) -> None:
    path = store.write_partial("Girl", BOXES[:2])
    assert path.name == "Girl.partial.txt" and not store.is_complete("Girl")
    assert len(path.read_text().splitlines()) == 2
    store.write("Girl", BOXES, TIMES)
    assert not path.exists()


def test_missing_result_is_named(store: ResultStore) -> None:
    with pytest.raises(UserError, match=r"edcf:default for 'Girl'.*Girl.txt is missing"):
        store.read("Girl")


@pytest.mark.parametrize("name", ["", "..", ".", "a/b", "..\\b", "a\nb", "c:d", " "])
def test_names_that_leave_the_folder(store: ResultStore, name: str, tmp_path: Path) -> None:
    for call in (store.read, store.is_complete, lambda n: store.write(n, BOXES, TIMES)):
        with pytest.raises(UserError, match="cannot be used as a file name"):
            call(name)
    with pytest.raises(UserError, match="tracker name"):
        ResultStore(tmp_path, name, "default")


def test_negative_run_id(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="run id -1"):
        ResultStore(tmp_path, "edcf", "default", -1)


def test_run_facts(store: ResultStore) -> None:
    assert store.read_run_facts() is None
    path = store.write_run_facts({"seed": 3, "file": Path("x")})
    assert json.loads(path.read_text()) == {"seed": 3, "file": "x"}
    assert store.read_run_facts() == {"seed": 3, "file": "x"}
    path.write_text("{broken")
    assert store.read_run_facts() is None


def test_results_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file")
    store = ResultStore(tmp_path / "results", "edcf", "default")
    with pytest.raises(UserError, match=r"cannot write .*results"):
        store.write("Girl", BOXES, TIMES)


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may write everywhere")
def test_results_folder_without_rights(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir(mode=0o500)
    with pytest.raises(UserError, match="no right"):
        ResultStore(tmp_path / "results", "edcf", "default").write("Girl", BOXES, TIMES)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs a file system nobody can write to")
def test_results_folder_on_a_file_system_that_takes_nothing() -> None:
    with pytest.raises(UserError, match=r"cannot write /proc/"):
        ResultStore("/proc/results", "edcf", "default").write("Girl", BOXES, TIMES)
