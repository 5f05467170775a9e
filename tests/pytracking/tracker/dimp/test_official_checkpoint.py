"""A checkpoint in the official form, given as weights, tracks as its converted file does."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from ltr.admin.convert import main
from ltr.models.tracking.dimp import dimp18
from pytracking.host import create_tracker

ARGUMENTS = {"filter_size": 4, "num_dist_bins": 100, "bin_displacement": 0.1, "score_act": "relu"}


@pytest.mark.slow
def test_an_official_checkpoint_as_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_video: Callable[..., Any],
    fill_by_recipe: Callable[[nn.Module], nn.Module],
) -> None:  # fmt: skip
    module = ModuleType("ltr.admin.model_constructor")
    constructor = type("NetConstructor", (SimpleNamespace,), {"__module__": module.__name__})
    module.NetConstructor = constructor  # type: ignore[attr-defined]
    made_by = constructor(fun_name="dimpnet18", fun_module="ltr.models.tracking.dimpnet", args=(), kwds=ARGUMENTS)
    content = {"epoch": 50, "net": fill_by_recipe(dimp18()).state_dict(), "constructor": made_by}
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, module.__name__, module)
        torch.save(content, tmp_path / "dimp18.pth")
        torch.save(content, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    assert main([str(tmp_path / "dimp18.pth")]) == 0
    video = make_video(4)
    tracks = []
    for name in ("dimp18.pth", "old.pth", "dimp18.safetensors"):
        tracker = create_tracker("dimp", "dimp18", weights=tmp_path / name, device="cpu")
        tracker.initialize(video.frames[0], {"init_bbox": video.boxes[0].tolist(), "seed": 1})
        tracks.append([tracker.track(frame)["target_bbox"] for frame in video.frames[1:]])
    assert tracks[0] == tracks[1] == tracks[2]
