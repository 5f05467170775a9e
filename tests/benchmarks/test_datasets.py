"""The benchmark of the generated data sets runs; what it measures is not tested."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest


def test_datasets(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = importlib.util.spec_from_file_location("benchmarks.datasets", repository / "benchmarks" / "datasets.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.main(["--pairs", "2", "--rounds", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[0] == "data"
    assert all(float(figure) > 0 for figure in lines[1].split()[1:])
