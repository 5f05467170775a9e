"""OSTrack-256 end to end: a checkpoint in the official form tracks as the official net does (goldens d/*)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from ltr.admin.convert import main
from ltr.models.tracking.rfgm import rfgm_ostrack256
from pytracking.host import create_tracker

GOLDENS = np.load(Path(__file__).parents[3] / "goldens" / "rfgm" / "tracking.npz")
# Around this box template and search region are cut where the goldens' pictures are pasted, and not resized.
BOX = [118.0, 118.0, 64.0, 64.0]


def pasted(picture: np.ndarray) -> np.ndarray:
    image = np.zeros((300, 300, 3), np.uint8)
    start = 150 - picture.shape[0] // 2
    image[start : start + picture.shape[0], start : start + picture.shape[1]] = picture
    return image


@pytest.mark.slow
def test_an_official_checkpoint_tracks_as_the_official_net(
    tmp_path: Path,
    fill_by_recipe: Callable[..., nn.Module],
    picture_by_recipe: Callable[[str, int, int], np.ndarray],
) -> None:
    net = fill_by_recipe(rfgm_ostrack256(), plain=True)
    official, converted = tmp_path / "OSTrack_ep0300.pth.tar", tmp_path / "ostrack256.safetensors"
    torch.save({"epoch": 300, "net_type": "OSTrack", "net": net.state_dict(), "constructor": None}, official)
    assert main([str(official), str(converted), "--net", "rfgm_ostrack256"]) == 0
    template, search = pasted(picture_by_recipe("ost.z", 128, 128)), pasted(picture_by_recipe("ost.x", 256, 256))
    cx, cy, w, h = GOLDENS["d/box_hann"][0] * 256
    expected = [150 - 128 + cx - w / 2, 150 - 128 + cy - h / 2, w, h]
    boxes = []
    for weights in (official, converted):
        tracker = create_tracker("rfgm", "ostrack256", weights=weights, device="cpu", overrides={"debug": 1})
        tracker.initialize(template, {"init_bbox": BOX})
        out = tracker.track(search)
        np.testing.assert_allclose(out["debug"]["score_map"], GOLDENS["d/score_map"][0, 0], atol=2e-5)
        np.testing.assert_allclose(out["target_bbox"], expected, atol=5e-3)
        boxes.append(out["target_bbox"])
    assert boxes[0] == boxes[1]
