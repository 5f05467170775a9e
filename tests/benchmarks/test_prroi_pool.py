"""The benchmark of the pooling compares what can be compared, and writes what it promises, on toy sizes."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch


@pytest.fixture
def benchmark(repository: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("benchmarks.prroi_pool", repository / "benchmarks" / "prroi_pool.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)  # where dataclasses look their module up
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "CASES", (module.Case("iounet", 2, 3, 9, 2), module.Case("dcfst", 9, 2, 18, 2)))
    return module


def test_prints_a_table_and_writes_all_of_it(
    benchmark: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torchvision.ops")
    assert benchmark.main(["--rounds", "2", "--least", "0", "--json", str(tmp_path / "r.json")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("| iounet: 2 x 3x9x9 to 2x2 |") for line in lines) == 4
    rows = json.loads((tmp_path / "r.json").read_text())["rows"]
    assert [row["gradients to"] for row in rows] == 2 * ["none", "features", "boxes", "both"]
    for row in rows:
        assert {"roi_align", "exact"} <= set(row["ms"]) == set(row["shares"])
        assert row["shares"]["roi_align"] == 1
        assert ("grid" in row["ms"]) == ("exact / grid" in row) == row["case"].startswith("dcfst")


def test_without_torchvision_the_exact_path_is_the_measure(
    benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "torchvision.ops", None)  # makes the import fail
    assert benchmark.main(["--rounds", "1", "--least", "0", "--nets", "iounet"]) == 0
    output = capsys.readouterr().out
    assert "torchvision cannot be imported" in output
    assert "| none | – | 1.00 |" in output


def test_all_pool_the_same_boxes(benchmark: ModuleType) -> None:
    """The two paths for a grid agree to rounding, and roi_align, which samples, on a smooth map."""
    case = benchmark.CASES[1]
    rois = benchmark.make_boxes(case)
    assert rois.shape == (9, 5)
    features = torch.linspace(0, 1, 18).square().expand(1, 2, 18, 18).contiguous()
    inner = rois[:, 1:].min(1).values.ge(0) & rois[:, 1:].max(1).values.le(benchmark.IMAGE - 16)
    assert inner.any()
    pooled = {name: pool(features, rois) for name, pool in benchmark.contenders(case, "cpu", None).items()}
    for name, values in pooled.items():
        tolerance = 0.05 if name == "roi_align" else 1e-6
        torch.testing.assert_close(values[inner], pooled["exact"][inner], rtol=0, atol=tolerance)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_missing_gpu_is_said(benchmark: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert benchmark.main(["--device", "cuda"]) == 1
    assert "no CUDA device" in capsys.readouterr().err


def test_runs_as_a_file_although_it_has_the_name_of_the_package(repository: Path, tmp_path: Path) -> None:
    command = [sys.executable, str(repository / "benchmarks" / "prroi_pool.py"), "--help"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--device {cpu,cuda}" in done.stdout
