"""The benchmark of DiMP's parts runs on a toy net; what it measures is not tested."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from ltr.admin.checkpoint import NetSpec, save_model
from ltr.models.registry import build_net

SPEC = NetSpec("dimp18_small", {"width": 0.125, "classification_channels": 16, "box_channels": 16})


@pytest.fixture
def script(repository: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(repository)  # where it finds the modules beside it
    path = repository / "benchmarks" / "dimp_speed.py"
    spec = importlib.util.spec_from_file_location("benchmarks.dimp_speed", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


def test_parts_and_half_precision(
    script: ModuleType, tmp_path: Path, moving_square: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "square"
    folder.mkdir()
    for index, frame in enumerate(moving_square.frames[:3]):
        cv2.imwrite(str(folder / f"{index}.png"), frame)
    np.savetxt(folder / "groundtruth.txt", moving_square.boxes[:3], delimiter=",")
    with torch.random.fork_rng():
        torch.manual_seed(0)  # some random nets carry rounding errors further than others
        net = build_net(SPEC).eval()
    weights = save_model(tmp_path / "net.safetensors", net, SPEC, {})
    arguments = ["--weights", str(weights), "--sequence", str(folder), "--frames", "2", "--rounds", "1"]
    assert script.main([*arguments, "--threads", "1", "--cpu_time", "--json", str(tmp_path / "d.json")]) == 0
    content = json.loads((tmp_path / "d.json").read_text())
    assert content["clock"] == "CPU time"
    columns = content["results"][str(weights)]
    assert list(columns) == ["plain", "fp32", "bf16"]
    for column in columns.values():
        assert set(script.ROWS) < set(column)
        assert all(column[part] > 0 for part in script.ROWS)
    assert columns["fp32"]["pixels between boxes, most"] < 0.02 and columns["fp32"]["frames of the same peak"] == 1
    assert "| refinement |" in capsys.readouterr().out


def test_cpu_time_is_that_of_one_thread(script: ModuleType) -> None:
    with pytest.raises(SystemExit):
        script.main(["--cpu_time", "--threads", "2"])
