"""The benchmark of DCFST's parts runs on a toy net; what it measures is not tested."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from ltr.admin.checkpoint import NetSpec, save_model
from ltr.models.registry import build_net

SPEC = NetSpec(
    "dcfst18_small",
    {"width": 0.125, "box_channels": 16, "location_channels": [16, 16], "embedding": [16, 16], "grid_size": 7},
)


@pytest.fixture
def script(repository: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(repository)  # where it finds the modules beside it
    path = repository / "benchmarks" / "dcfst_speed.py"
    spec = importlib.util.spec_from_file_location("benchmarks.dcfst_speed", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


def test_parts_and_forms(script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = build_net(SPEC).eval()
    weights = save_model(tmp_path / "net.safetensors", net, SPEC, {})
    arguments = ["--weights", str(weights), "--frames", "1", "--rounds", "1", "--update", "normal_equations"]
    assert script.main([*arguments, "--threads", "1", "--cpu_time", "--json", str(tmp_path / "d.json")]) == 0
    content = json.loads((tmp_path / "d.json").read_text())
    assert content["clock"] == "CPU time" and content["update"] == "normal_equations"
    columns = content["results"][str(weights)]
    assert list(columns) == ["fp32", "fp32, reusing", "bf16", "bf16, reusing"]
    for column in columns.values():
        assert set(script.ROWS) < set(column)
        assert all(column[part] > 0 for part in script.ROWS)
    assert "| refinement |" in capsys.readouterr().out


def test_cpu_time_is_that_of_one_thread(script: ModuleType) -> None:
    with pytest.raises(SystemExit):
        script.main(["--cpu_time", "--threads", "2"])
