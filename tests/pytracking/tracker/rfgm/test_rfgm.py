"""The RFGM tracker with a tiny random net: contract, memory over long videos, odd targets, what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ltr.admin.checkpoint import NetSpec, save_model
from ltr.admin.errors import UserError
from ltr.models.registry import build_net
from ltr.models.tracking.edcf import edcf
from ltr.models.tracking.rfgm import RFGMNet
from pytracking.host import create_tracker, prepare_parameters
from pytracking.parameter.rfgm import (
    got10k,
    ostrack256,
    rfgm_b256,
    rfgm_b256_attention,
    rfgm_b256_m256,
    rfgm_b256_m448,
    rfgm_b256_memory,
    rfgm_b256_one_template,
    rfgm_b256_score_memory,
)
from pytracking.testing import check_tracker, moving_target
from pytracking.tracker.rfgm.params import RFGMParams
from pytracking.tracker.rfgm.tracker import RFGMTracker

KINDS = ("one_template", "memory", "score_memory", "gr_memory")
BOX = [64.0, 44.0, 28.0, 28.0]
OFTEN: dict[str, Any] = {"update_interval": 1, "longest_update_interval": 1}


def begun(net: RFGMNet, params: RFGMParams) -> RFGMTracker:
    """A tracker after its first frame."""
    tracker = RFGMTracker(params, net=net)
    tracker.initialize(moving_target(1)[0][0], {"init_bbox": list(BOX)})
    return tracker


@pytest.mark.parametrize(
    "changes",
    [
        *({"memory": kind, **OFTEN} for kind in KINDS),
        {**OFTEN, "precision": "bf16"},
        {**OFTEN, "schedule": "since_last", "filter_on_next_frame": False, "memory_templates": 2},
        {"window_influence": 0, "border_margin": 1, "search_area_scale": 3, "size_rate": 0.1, "calibrate_size": True},
    ],
    ids=str,
)
def test_contract(changes: dict[str, Any], tiny_weights: Path) -> None:
    check_tracker("rfgm", "rfgm_b256", weights=tiny_weights, overrides=changes, device="cpu")


def test_calibrated_sizes_are_the_heads_times_what_it_missed_at_first(tiny_net: RFGMNet) -> None:
    image = moving_target(2)[0][1]
    params = RFGMParams(memory="one_template", border_margin=1)
    plain, calibrated = begun(tiny_net, params), begun(tiny_net, replace(params, calibrate_size=True))
    factors = calibrated.state.size_factors
    assert plain.state.size_factors == (1, 1)
    assert all(0.5 <= factor <= 2 and factor != 1 for factor in factors)
    boxes = [tracker.track(image)["target_bbox"] for tracker in (plain, calibrated)]
    centres = [[x + w / 2, y + h / 2] for x, y, w, h in boxes]
    sizes = [[w, h] for _, _, w, h in boxes]
    np.testing.assert_allclose(sizes[1], np.multiply(sizes[0], factors), rtol=1e-5)
    np.testing.assert_allclose(centres[1], centres[0], atol=1e-3)


@pytest.mark.parametrize(("kind", "frames"), [("memory", 50), ("score_memory", 50), ("gr_memory", 1200)])
def test_the_memory_is_bounded_however_long_the_video(kind: Any, frames: int, tiny_net: RFGMNet) -> None:
    """By the paper's schedule; the first frame's tokens are always read."""
    images, _ = moving_target(6)
    tracker = begun(tiny_net, RFGMParams(memory=kind))
    memory = tracker.state.memory
    first, limit = memory.first.clone(), 3 * tiny_net.template_tokens
    read, sizes, changes = memory.read, [], []

    def watched(search: torch.Tensor) -> torch.Tensor:
        before, tokens = memory.tokens, read(search)
        assert torch.equal(tokens[:, : tiny_net.template_tokens], first)
        sizes.append(tokens.shape[1])
        if tokens is not before:
            changes.append(tracker.state.frame_num)
        return tokens

    memory.read = watched  # type: ignore[method-assign]
    for frame in range(1, frames + 1):
        out = tracker.track(images[frame % len(images)])
        assert np.isfinite(out["target_bbox"]).all()
    assert len(sizes) == frames and max(sizes) == limit == sizes[-1]
    assert sizes[5] == 2 * tiny_net.template_tokens and sizes[10] == limit
    if kind == "gr_memory":
        assert changes[:5] == [6, 11, 16, 21, 26] and changes[-1] == 1121


def test_frames_after_an_update_see_the_new_template(tiny_net: RFGMNet) -> None:
    images, _ = moving_target(8)
    boxes = {}
    for kind in KINDS:
        tracker = begun(tiny_net, RFGMParams(memory=kind, window_influence=0))
        boxes[kind] = np.array([tracker.track(image)["target_bbox"] for image in images[1:]])
    for kind in KINDS[1:]:
        np.testing.assert_array_equal(boxes[kind][:5], boxes["one_template"][:5])
        assert not np.array_equal(boxes[kind][5], boxes["one_template"][5])


def test_dropping_no_tokens_changes_boxes(tiny_net: RFGMNet) -> None:
    image = moving_target(2)[0][1]
    pruned = begun(tiny_net, RFGMParams(memory="one_template"))
    whole = begun(tiny_net, RFGMParams(memory="one_template", keep_ratios=(1, 1, 1)))
    assert pruned.track(image)["target_bbox"] != whole.track(image)["target_bbox"]
    assert whole.net.keep_ratios == (1, 1, 1) and tiny_net.keep_ratios == (0.9, 0.8, 0.7)


def test_the_callers_net_stays_as_it_is(tiny_net: RFGMNet) -> None:
    before = {name: tensor.clone() for name, tensor in tiny_net.state_dict().items()}
    begun(tiny_net, RFGMParams(precision="bf16", keep_ratios=(0.5, 0.5, 0.5))).track(moving_target(1)[0][0])
    after = tiny_net.state_dict()
    assert after.keys() == before.keys() and all(torch.equal(after[name], before[name]) for name in before)


def test_bf16_keeps_boxes_within_a_pixel(tiny_net: RFGMNet) -> None:
    """Frame by frame from the same box, without the cells between which a random net can hardly choose."""
    images, _ = moving_target(5)
    full, half = (begun(tiny_net, RFGMParams(precision=p, memory="one_template")) for p in ("fp32", "bf16"))
    for image in images[1:]:
        expected, box = full.track(image)["target_bbox"], half.track(image)["target_bbox"]
        np.testing.assert_allclose(box, expected, atol=1)
        half.state.box_xywh = list(full.state.box_xywh)


@pytest.mark.gpu
def test_the_device_gives_the_cpus_boxes(tiny_net: RFGMNet) -> None:
    images, boxes = moving_target(8)
    tracks = []
    for device in ("cpu", "cuda"):
        tracker = RFGMTracker(RFGMParams(**OFTEN), device=device, net=tiny_net)
        tracker.initialize(images[0], {"init_bbox": list(boxes[0])})
        tracks.append([tracker.track(image)["target_bbox"] for image in images[1:]])
    np.testing.assert_allclose(*tracks, atol=0.05)


def test_a_box_that_is_not_finite_is_not_taken(tiny_net: RFGMNet) -> None:
    tracker = begun(tiny_net, RFGMParams(**OFTEN))
    broken = torch.full((1, 4), torch.nan), torch.ones(1)
    with replaced(tracker.net, "decode", lambda maps, window: broken):
        out = tracker.track(moving_target(1)[0][0])
    assert out["target_bbox"] == BOX and out["object_presence_score"] == 0
    assert tracker.state.last_update == 0  # nothing is remembered of such a frame
    assert tracker.track(moving_target(1)[0][0])["object_presence_score"] > 0


@contextmanager
def replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    setattr(owner, name, value)
    yield
    delattr(owner, name)


def test_debug_tells_what_was_searched(tiny_net: RFGMNet) -> None:
    out = begun(tiny_net, RFGMParams(debug=1)).track(moving_target(1)[0][0])
    assert out["debug"]["score_map"].shape == (6, 6) and out["debug"]["memory_tokens"] == 4
    np.testing.assert_allclose(out["search_area"], [78 - 56, 58 - 56, 112, 112])
    assert 0 < out["score"] <= out["debug"]["score_map"].max() + 1e-6


def test_track_needs_a_beginning(tiny_net: RFGMNet) -> None:
    with pytest.raises(RuntimeError, match="before initialize"):
        RFGMTracker(RFGMParams(), net=tiny_net).track(moving_target(1)[0][0])


def test_rows_of_the_papers_tables() -> None:
    base = rfgm_b256.parameters()
    assert (base.memory, base.memory_templates) == ("gr_memory", 3)
    rows = {
        rfgm_b256_one_template: {"memory": "one_template"},
        rfgm_b256_memory: {"memory": "memory", "longest_update_interval": 5},
        rfgm_b256_score_memory: {"memory": "score_memory"},
        rfgm_b256_m256: {"memory_templates": 4},
        rfgm_b256_m448: {"memory_templates": 7},
        rfgm_b256_attention: {"keep_ratios": (1, 1, 1)},
        got10k: {"weights": "rfgm_b256_got10k"},
    }
    for module, changes in rows.items():
        assert module.parameters() == replace(base, **changes)


@pytest.mark.parametrize("module", [rfgm_b256, got10k, ostrack256])
def test_weights_that_are_not_shipped_say_what_to_do(module: Any) -> None:
    params = module.parameters()
    remedy = r"--weights path/to/OSTrack" if module is ostrack256 else rf"ltr-train rfgm {params.weights}"
    with pytest.raises(UserError, match=rf"weights '{params.weights}' not found.*{remedy}"):
        RFGMTracker(params)


def test_weights_of_another_net_are_refused(tmp_path: Path) -> None:
    path = save_model(tmp_path / "edcf.safetensors", edcf(), NetSpec("edcf"), {})
    with pytest.raises(UserError, match=r"of EDCFNet; RFGM needs those of rfgm_b256"):
        create_tracker("rfgm", "rfgm_b256", weights=path, device="cpu")
    with pytest.raises(UserError, match="of net 'edcf', but 'rfgm_ostrack256' is needed"):
        create_tracker("rfgm", "ostrack256", weights=path, device="cpu")


def test_weights_of_another_size_name_both_shapes(tiny_net: RFGMNet, tiny_spec: NetSpec, tmp_path: Path) -> None:
    spec = NetSpec(tiny_spec.builder, {**tiny_spec.kwargs, "search_size": 128})
    path = save_model(tmp_path / "other.safetensors", tiny_net, spec, {})
    with pytest.raises(UserError, match=r"wrong shape: backbone.pos_embed_x \(1, 36, 32\) instead of \(1, 64, 32\)"):
        create_tracker("rfgm", "rfgm_b256", weights=path, device="cpu")
    torch.save({"net": tiny_net.state_dict()}, tmp_path / "other.pth.tar")
    with pytest.raises(UserError, match=r"wrong shape: backbone.blocks.0.attn.proj.bias \(32,\) instead of \(768,\)"):
        create_tracker("rfgm", "ostrack256", weights=tmp_path / "other.pth.tar", device="cpu")


def test_a_net_without_stages_has_no_gr_memory(tmp_path: Path, tiny_net: RFGMNet) -> None:
    spec = NetSpec("rfgm_b256", {"width": 32, "depth": 2, "heads": 4, "head_channels": 8, "stages": 0,
                                 "template_size": 32, "search_size": 64, "class_token": False})  # fmt: skip
    path = save_model(tmp_path / "plain.safetensors", build_net(spec), spec, {})
    with pytest.raises(UserError, match=r"no relevance blocks.*--set memory=one_template"):
        create_tracker("rfgm", "rfgm_b256", weights=path, device="cpu")
    check_tracker("rfgm", "rfgm_b256_one_template", weights=path, device="cpu")
    with pytest.raises(UserError, match=r"keep_ratios .* has 2 values, but .* has 3 relevance blocks"):
        RFGMTracker(RFGMParams(keep_ratios=(0.9, 0.8)), net=tiny_net)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"search_area_scale": 0.5}, "search_area_scale"),
        ({"window_influence": 1.5}, "window_influence"),
        ({"size_rate": -0.1}, "size_rate"),
        ({"memory_templates": 0}, "memory_templates"),
        ({"memory_templates": 1}, "memory=one_template"),
        ({"update_interval": 200}, "longest_update_interval 160 is shorter"),
        ({"keep_ratios": (0.9, 0.0)}, "keep_ratios"),
        ({"keep_ratios": (float("nan"),)}, "keep_ratios"),
        ({"border_margin": 0}, "border_margin"),
    ],
)
def test_parameters_out_of_range_are_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        replace(RFGMParams(), **change)


@pytest.mark.parametrize("name", ["default", "rfgm_b256_one_template"])
def test_the_kind_of_memory_can_be_set_alone(name: str) -> None:
    params = prepare_parameters("rfgm", name, overrides={"memory": "gr_memory"})
    assert (params.memory, params.memory_templates) == ("gr_memory", 3)


def test_settings_as_text() -> None:
    params = prepare_parameters("rfgm", "rfgm_b256", overrides={"keep_ratios": "0.5, 0.5, 0.5", "schedule": "modulo"})
    assert params.keep_ratios == (0.5, 0.5, 0.5)
    with pytest.raises(UserError, match="memory_templates"):
        prepare_parameters("rfgm", "rfgm_b256", overrides={"memory_template": "3"})
    with pytest.raises(UserError, match="gr_memory"):
        prepare_parameters("rfgm", "rfgm_b256", overrides={"memory": "gr"})
