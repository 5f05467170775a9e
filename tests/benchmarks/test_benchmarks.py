"""The benchmarks run (on toy sizes) and write what they promise; what they measure is not tested."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pytest


@pytest.fixture
def load(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """A script of `benchmarks` as a module."""

    def load_script(name: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(f"benchmarks.{name}", repository / "benchmarks" / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, spec.name, module)  # where dataclasses look their module up
        spec.loader.exec_module(module)
        return module

    return load_script


def test_metrics(load: Callable[[str], ModuleType], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = ["--sequences", "2", "--frames", "30", "--trackers", "2", "--repeats", "1"]
    assert load("metrics").main([*sizes, "--files", "--json", str(tmp_path / "m.json")]) == 0
    assert "120 frames" in capsys.readouterr().out
    content = json.loads((tmp_path / "m.json").read_text())
    assert content["frames"] == 120
    assert "rule otb" in content["cpu_seconds"]


def test_looped_video_has_its_target_where_it_says(load: Callable[[str], ModuleType]) -> None:
    video = load("memory_long_run").LoopedVideo(250, (120, 160))
    boxes = video.boxes()
    assert boxes.shape == (len(video), 4) == (250, 4)
    assert np.abs(np.diff(boxes[:, :2], axis=0)).max() <= 4  # also where the loop closes
    patches = []
    for index in (0, 60, 249):
        x, y, w, h = boxes[index].astype(int)
        patches.append(video.read(index)[y : y + h, x : x + w])
    assert all((patch == patches[0]).all() for patch in patches)
    assert video.read(3) is video.read(103)


def test_memory_of_a_long_run(
    load: Callable[[str], ModuleType], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    module = load("memory_long_run")
    arguments = ["opencv", "mil", "--size", "96", "128", "--frames", "8", "--first", "4", "--limit", "1000"]
    assert module.main([*arguments, "--json", str(tmp_path / "m.json")]) == 0
    content = json.loads((tmp_path / "m.json").read_text())
    assert {"4", "8"} <= set(content["at"])
    assert content["at"]["8"]["peak_mib"] >= content["at"]["4"]["peak_mib"] > 10
    assert module.main([*arguments, "--limit", "-1"]) == 1  # any growth, also none, is above it
    assert "NOT flat" in capsys.readouterr().out
    assert module.main(["edfc"]) == 2
    assert module.main(["opencv", "mil", "--first", "10000"]) == 2


def test_trackers_on_sequences(
    load: Callable[[str], ModuleType], tmp_path: Path, moving_square: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("one", "two"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for index, frame in enumerate(moving_square.frames[:3]):
            cv2.imwrite(str(tmp_path / "data" / name / f"{index}.png"), frame)
        np.savetxt(tmp_path / "data" / name / "groundtruth.txt", moving_square.boxes[:3], delimiter=",")
    module = load("trackers_on_sequences")
    arguments = ["opencv:mil", "opencv:mil:1", "--dataset_path", str(tmp_path / "data"), "--json"]
    assert module.main([*arguments, str(tmp_path / "t.json"), "--markdown", str(tmp_path / "t.md")]) == 0
    content = json.loads((tmp_path / "t.json").read_text())
    assert list(content["trackers"]) == ["opencv:mil", "opencv:mil:1"]
    one = content["trackers"]["opencv:mil"]["sequences"]["one"]
    assert set(one) == {"auc", "dp20", "op50", "fps", "fps_cpu"}
    assert one["fps_cpu"] > 0
    assert (tmp_path / "t.md").read_text().startswith("| tracker ")
    assert " one |" in capsys.readouterr().out
    assert module.main(["opencv:mil", "opencv:mill", "--dataset_path", str(tmp_path / "data")]) == 2
    assert "not run" not in capsys.readouterr().err  # nothing is computed before all of them are built
