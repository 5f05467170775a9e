"""The DiMP tracker with a small random net: contract, updates, seeds, odd targets, what is refused."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from ltr.admin.checkpoint import NetSpec, save_model
from ltr.admin.errors import UserError
from ltr.models.tracking.dimp import DiMPNet
from ltr.models.tracking.edcf import edcf
from pytracking.components.localize import Found
from pytracking.host import create_tracker, prepare_parameters
from pytracking.parameter.dimp import dimp18, dimp18_averaging, dimp18_no_update, dimp18_vot18, dimp50
from pytracking.testing import check_tracker, moving_target
from pytracking.tracker.dimp.params import DiMPParams
from pytracking.tracker.dimp.state import Finding
from pytracking.tracker.dimp.tracker import DiMPTracker

# Few and small crops; with a threshold below all scores every frame is refined and learned from.
QUICK: dict[str, Any] = {"image_sample_size": 96, "net_opt_iter": 2, "augment_rotate": (20,), "augment_blur": ()}
FOUND: dict[str, Any] = {**QUICK, "target_not_found_threshold": -1e9, "train_skipping": 1}
BOX = [64.0, 44.0, 28.0, 28.0]


def tracked(net: DiMPNet, params: DiMPParams, seed: int = 0, frames: int = 4) -> tuple[DiMPTracker, np.ndarray]:
    """The tracker after some frames, and the boxes of the later ones."""
    images, boxes = moving_target(frames)
    tracker = DiMPTracker(params, net=net)
    tracker.initialize(images[0], {"init_bbox": list(boxes[0]), "seed": seed})
    return tracker, np.array([tracker.track(image)["target_bbox"] for image in images[1:]])


@pytest.mark.parametrize(
    ("parameter", "changes"),
    [
        ("dimp18", QUICK),
        ("dimp18", {**FOUND, "crop_arithmetic": "intdiv"}),
        ("dimp18", {**FOUND, "border_mode": "inside_major", "patch_max_scale_change": 1.5,
                    "box_refinement_space": "relative", "box_refinement_step_length": 2.5e-3}),
        ("dimp18", {**FOUND, "num_init_random_boxes": 0, "precision": "bf16"}),
        ("dimp18_no_update", FOUND),
        ("dimp18_averaging", FOUND),
        ("dimp18_vot18", {**FOUND, "net_opt_update_iter": 1, "augment_dropout": (1, 0.2)}),
    ],
)  # fmt: skip
def test_contract(parameter: str, changes: dict[str, Any], small_weights: Path) -> None:
    check_tracker("dimp", parameter, weights=small_weights, overrides=changes, device="cpu")


def test_the_callers_net_stays_as_it_is(small_net: DiMPNet) -> None:
    before = {name: tensor.clone() for name, tensor in small_net.state_dict().items()}
    tracked(small_net, DiMPParams(**FOUND))
    after = small_net.state_dict()
    assert after.keys() == before.keys() and all(torch.equal(after[name], before[name]) for name in before)


def test_seeds_decide_and_global_random_numbers_do_not(small_net: DiMPNet) -> None:
    params = DiMPParams(**FOUND)
    torch.manual_seed(1)
    state = torch.get_rng_state()
    _, first = tracked(small_net, params, seed=5)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    _, same = tracked(small_net, params, seed=5)
    _, other = tracked(small_net, params, seed=6)
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)


def test_first_frame_makes_fifteen_samples(small_net: DiMPNet) -> None:
    tracker, _ = tracked(small_net, replace(dimp18.parameters(), image_sample_size=96), frames=1)
    memory = tracker.state.memory
    assert memory is not None and len(memory) == 15 == tracker.params.num_init_samples
    assert len({tuple(box) for box in memory.boxes_xywh.tolist()}) > 5  # shifted at random
    dropped = (memory.samples[13:] == 0).all(dim=(2, 3)).float().mean()
    assert 0.02 < float(dropped) < 0.5


def test_the_first_frame_is_one_batch(small_net: DiMPNet, monkeypatch: pytest.MonkeyPatch) -> None:
    images, boxes = moving_target(1)
    tracker = DiMPTracker(DiMPParams(**QUICK), net=small_net)
    backbone, batches = tracker.net.backbone, []
    monkeypatch.setattr(tracker.net, "backbone", lambda crops: batches.append(len(crops)) or backbone(crops))
    tracker.initialize(images[0], {"init_bbox": list(boxes[0])})
    dropped, _ = tracker.params.augment_dropout
    assert batches == [tracker.params.num_init_samples - dropped]


def test_updates_of_table_3(small_net: DiMPNet) -> None:
    filters = {}
    for module in (dimp18, dimp18_no_update, dimp18_averaging):
        params = replace(module.parameters(), **FOUND)
        begun, _ = tracked(small_net, params, frames=1)
        tracker, _ = tracked(small_net, params, frames=3)
        filters[params.update] = begun.state.target_filter, tracker.state.target_filter
        assert (tracker.state.memory is None) == (params.update != "memory")
    for name, (before, after) in filters.items():
        assert torch.equal(before, after) == (name == "none")
    assert torch.equal(filters["none"][0], filters["memory"][0])
    before, after = filters["averaging"]
    assert float((after - before).norm() / before.norm()) < 0.1  # two shares of one hundredth


def test_averaging_is_a_linear_combination(small_net: DiMPNet, monkeypatch: pytest.MonkeyPatch) -> None:
    tracker, _ = tracked(small_net, DiMPParams(**FOUND, update="averaging", averaging_rate=0.25), frames=1)
    before = tracker.state.target_filter
    monkeypatch.setattr(tracker, "_predict_filter", lambda features, boxes: torch.ones_like(before))
    tracker.track(moving_target(2)[0][1])
    torch.testing.assert_close(tracker.state.target_filter, 0.75 * before + 0.25)


@pytest.mark.parametrize(
    ("is_hard", "frame_num", "score", "recursions"),
    [(False, 21, 0.9, 2), (False, 22, 0.9, 0), (False, 22, 0.3, 7), (True, 21, 0.3, 1), (False, 2, 0.9, 0)],
)
def test_recursions(small_net: DiMPNet, is_hard: bool, frame_num: int, score: float, recursions: int) -> None:
    tracker, _ = tracked(small_net, DiMPParams(**QUICK, low_score_opt_threshold=0.4, net_opt_low_iter=7), frames=1)
    tracker.state.frame_num = frame_num
    assert tracker._recursions(is_hard, score) == recursions


def finding_of(tracker: DiMPTracker, flag: Found, boxes: list[list[float]]) -> Finding:
    rows = np.array(boxes, dtype=float)
    return Finding(flag, 0.5, (0.0, 0.0), rows, rows, np.zeros(len(rows)))


def with_finding(
    tracker: DiMPTracker, finding: Finding, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], list[float]]:
    monkeypatch.setattr(tracker, "_read", lambda scores, location, view: finding)
    image = moving_target(1)[0][0]
    return lambda: list(tracker.track(image)["target_bbox"])


def test_a_box_in_the_middle_moves_by_half_a_crop_pixel(small_net: DiMPNet, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the official code does: in by (size - 1) / 2, back by size / 2."""
    tracker, _ = tracked(small_net, DiMPParams(**FOUND, crop_arithmetic="intdiv"), frames=1)
    target = tracker.state.target
    middle = [(96 - 40) / 2, (96 - 40) / 2, 40.0, 40.0]
    step = with_finding(tracker, finding_of(tracker, Found.NORMAL, [middle]), monkeypatch)
    window = tracker._look(moving_target(1)[0][0]).window
    x, y, w, h = step()
    scale = window.scale((96, 96))
    assert w == pytest.approx(40 * scale) and h == pytest.approx(40 * scale)
    expected = np.array(window.pos_yx) + 0.5 * scale
    np.testing.assert_allclose([y + (h - 1) / 2, x + (w - 1) / 2], expected)
    assert target.scale == pytest.approx(math.sqrt(w * h / tracker.state.base_area))


def test_a_lost_target_keeps_its_box(small_net: DiMPNet, monkeypatch: pytest.MonkeyPatch) -> None:
    tracker, _ = tracked(small_net, DiMPParams(**FOUND), frames=1)
    step = with_finding(tracker, Finding(Found.NOT_FOUND, -1.0, (50.0, 50.0), *[np.empty(0)] * 3), monkeypatch)
    assert step() == BOX
    image = moving_target(1)[0][0]
    assert tracker.track(image)["object_presence_score"] == 0.0
    assert len(tracker.state.memory or ()) == tracker.params.num_init_samples


def test_without_a_box_worth_taking_the_target_returns(small_net: DiMPNet, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the official code: the classifier's move counts on the first such frame only while no box was ever taken."""
    tracker, _ = tracked(small_net, DiMPParams(**FOUND), frames=1)
    thin = [[0.0, 0.0, 90.0, 1.0]]
    moved = finding_of(tracker, Found.UNCERTAIN, thin)
    moved.translation_yx = (4.0, 6.0)
    step = with_finding(tracker, moved, monkeypatch)
    assert step() != BOX and step()[2:] == BOX[2:]
    step = with_finding(tracker, finding_of(tracker, Found.NORMAL, [[30.0, 30.0, 36.0, 36.0]]), monkeypatch)
    good = step()
    assert with_finding(tracker, moved, monkeypatch)() == good


def test_uncertain_frames_are_not_learned_from(small_net: DiMPNet, monkeypatch: pytest.MonkeyPatch) -> None:
    tracker, _ = tracked(small_net, DiMPParams(**FOUND), frames=1)
    good = [[30.0, 30.0, 36.0, 36.0]]
    counts = []
    for flag in (Found.UNCERTAIN, Found.NORMAL, Found.HARD_NEGATIVE):
        with_finding(tracker, finding_of(tracker, flag, good), monkeypatch)()
        counts.append(len(tracker.state.memory or ()))
    begun = tracker.params.num_init_samples
    assert counts == [begun, begun + 1, begun + 2]


def test_boxes_that_run_away_are_not_taken(small_net: DiMPNet, monkeypatch: pytest.MonkeyPatch) -> None:
    tracker, _ = tracked(small_net, DiMPParams(**FOUND), frames=1)
    for bad in ([0.0, 0.0, 1e9, 1e9], [math.inf, 0.0, 30.0, 30.0], [0.0, 0.0, math.nan, 9.0], [1e12, 0.0, 30.0, 30.0]):
        assert with_finding(tracker, finding_of(tracker, Found.NORMAL, [bad]), monkeypatch)()[2:] == BOX[2:]


def test_targets_that_grow_and_shrink_without_end(small_net: DiMPNet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sizes are not bounded, as in the official code; crops of such targets must still be possible."""
    for side in (1.0, 900.0):
        tracker, _ = tracked(small_net, DiMPParams(**FOUND), frames=1)
        finding = finding_of(tracker, Found.NORMAL, [[48 - side / 2, 48 - side / 2, side, side]])
        step = with_finding(tracker, finding, monkeypatch)
        for _ in range(12):
            box = step()
            assert np.isfinite(box).all() and min(box[2:]) > 0


class HostReads(TorchDispatchMode):
    """Counts what would wait for an accelerator: numbers read one by one."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.name() if hasattr(func, "name") else ""
        self.count += name in ("aten::_local_scalar_dense", "aten::equal", "aten::nonzero", "aten::is_nonzero")
        return func(*args, **(kwargs or {}))


def test_a_frame_reads_nothing_but_its_flag(small_net: DiMPNet) -> None:
    """On the CPU the flag decides whether boxes are refined at all; elsewhere not even that is read."""
    tracker, _ = tracked(small_net, DiMPParams(**FOUND))
    image = moving_target(1)[0][0]
    with HostReads() as reads:
        tracker.track(image)
    assert reads.count == 1


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_frame_waits_once_for_the_device(small_net: DiMPNet, precision: str) -> None:
    images, boxes = moving_target(4)
    tracker = DiMPTracker(DiMPParams(**{**FOUND, "precision": precision}), device="cuda", net=small_net)
    tracker.initialize(images[0], {"init_bbox": list(boxes[0])})
    tracker.track(images[1])
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with pytest.warns(UserWarning, match="synchroniz") as caught:
            tracker.track(images[2])
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert len([warning for warning in caught if "synchroniz" in str(warning.message)]) == 1


@pytest.mark.gpu
def test_the_device_gives_the_cpus_boxes(small_net: DiMPNet) -> None:
    images, boxes = moving_target(4)
    results = []
    for device in ("cpu", "cuda"):
        tracker = DiMPTracker(DiMPParams(**FOUND), device=device, net=small_net)
        tracker.initialize(images[0], {"init_bbox": list(boxes[0])})
        results.append([tracker.track(image)["target_bbox"] for image in images[1:]])
    np.testing.assert_allclose(*results, atol=0.05)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_keeps_boxes_within_half_a_pixel(small_net: DiMPNet, precision: str) -> None:
    """Frame by frame from the same state; over many frames a random net multiplies any difference."""
    images, boxes = moving_target(5)
    trackers = [DiMPTracker(DiMPParams(**{**FOUND, "precision": p}), net=small_net) for p in ("fp32", precision)]
    for tracker in trackers:
        tracker.initialize(images[0], {"init_bbox": list(boxes[0])})
    for image in images[1:]:
        full, half = (tracker.track(image)["target_bbox"] for tracker in trackers)
        np.testing.assert_allclose(half, full, atol=0.5)
        trackers[1].state.target = replace(trackers[0].state.target)


def test_debug_tells_what_was_found(small_net: DiMPNet) -> None:
    tracker, _ = tracked(small_net, DiMPParams(**FOUND, debug=1))
    out = tracker.track(moving_target(1)[0][0])
    assert out["debug"]["score_map"].shape == (7, 7)
    assert out["score"] == pytest.approx(float(out["debug"]["score_map"].max()))
    assert out["debug"]["finding"].boxes_xywh.shape == (10, 4)
    _, _, w, h = out["search_area"]
    assert w > 0 and h == pytest.approx(w, rel=0.1)


def test_track_needs_a_beginning(small_net: DiMPNet) -> None:
    with pytest.raises(RuntimeError, match="before initialize"):
        DiMPTracker(DiMPParams(), net=small_net).track(moving_target(1)[0][0])


@pytest.mark.parametrize("module", [dimp18, dimp50, dimp18_vot18])
def test_missing_official_weights_say_where_yours_go(module: Any) -> None:
    name = module.parameters().weights
    with pytest.raises(UserError, match=rf"^weights '{name}' not found.*not shipped.*--weights path/to/{name}\.pth"):
        DiMPTracker(module.parameters())


def test_other_missing_weights_are_a_plain_error() -> None:
    with pytest.raises(UserError, match=r"weights 'mine' not found") as caught:
        create_tracker("dimp", "dimp18", weights="mine", device="cpu")
    assert "official" not in str(caught.value)


def test_weights_of_another_net_are_refused(tmp_path: Path) -> None:
    arguments = {"width": 0.125, "decoder": False}
    path = save_model(tmp_path / "other.safetensors", edcf(**arguments), NetSpec("edcf", arguments), {})
    with pytest.raises(UserError, match=r"other\.safetensors.*EDCFNet.*dimp18"):
        create_tracker("dimp", "dimp18", weights=path, device="cpu")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"image_sample_size": 250}, "multiple of 16"),
        ({"learning_rate": 1.5}, "learning_rate"),
        ({"sample_memory_size": 15}, "no room beside the 15"),
        ({"augment_dropout": (2, 1.0)}, "augment_dropout"),
        ({"augment_blur": ((0, 1),)}, "augment_blur"),
        ({"augment_blur": ((1, math.inf),)}, "augment_blur"),
        ({"augment_relativeshift": ((0.6, 5.0),)}, "augment_relativeshift"),
        ({"augment_rotate": (math.nan,)}, "augment_rotate"),
        ({"target_not_found_threshold": math.nan}, "target_not_found_threshold"),
        ({"box_refinement_step_length": math.inf}, "box_refinement_step_length"),
        ({"augment_scale": (0.0,)}, "augment_scale"),
        ({"window_output": True}, "perform_hn_without_windowing"),
        ({"box_refinement_iter": 0}, "box_refinement_iter"),
    ],
)
def test_parameters_out_of_range_are_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        replace(DiMPParams(), **change)


def test_settings_as_text() -> None:
    text = {"augment_blur": "((2, 1), (1, 3))", "augment_dropout": "0, 0", "augment_rotate": "10, -10"}
    params = prepare_parameters("dimp", "dimp18", overrides={**text, "uncertain_threshold": "0.3"})
    assert params.augment_blur == ((2, 1), (1, 3)) and params.augment_rotate == (10, -10)
    assert params.uncertain_threshold == 0.3 and params.num_init_samples == 1 + 4 + 1 + 2 + 2
    with pytest.raises(UserError, match="displacement_scale"):
        prepare_parameters("dimp", "dimp18", overrides={"dispalcement_scale": "0.7"})
