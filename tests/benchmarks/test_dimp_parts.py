"""The comparison of DiMP's parts runs, and compares ways to the same numbers."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest
import torch


@pytest.fixture(scope="module")
def script(repository: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("benchmarks.dimp_parts", repository / "benchmarks" / "dimp_parts.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_table_and_json(script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--builder", "dimp18_small", "--samples", "2", "--rounds", "1", "--json", str(tmp_path / "parts.json")]
    assert script.main(arguments) == 0
    results = json.loads((tmp_path / "parts.json").read_text())["cpu_ms"]
    assert results.keys() >= {"scores of 2 samples", "overlap and gradient of 10 boxes", "backbone"}
    assert len(capsys.readouterr().out.splitlines()) == len(results)


@torch.no_grad()
def test_all_ways_give_the_same(script: ModuleType) -> None:
    torch.manual_seed(0)
    net = script.make("dimp18_small")
    parts = {**script.filter_parts(net, 3), **script.box_parts({"plain": net, "prepared": net})}
    for ways in parts.values():
        # Beside the tensor in question come overlaps, or iterates.
        results = [result if isinstance(result, torch.Tensor) else getattr(result, "filter", result[1])
                   for result in (run() for run in ways.values())]  # fmt: skip
        for result in results[1:]:
            torch.testing.assert_close(result.reshape(results[0].shape), results[0], atol=1e-5, rtol=1e-4)
