"""The DCFST tracker with a small random net: contract, updates, seeds, odd targets, what is refused."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ltr.admin.checkpoint import NetSpec, save_model
from ltr.admin.errors import UserError
from ltr.models.tracking.dcfst import DCFSTNet
from ltr.models.tracking.edcf import edcf
from pytracking.host import create_tracker
from pytracking.parameter.dcfst import dcfst18, dcfst50, dcfst50_vot18
from pytracking.testing import check_tracker, moving_target
from pytracking.tracker.dcfst.params import DCFSTParams
from pytracking.tracker.dcfst.state import Finding, Lesson
from pytracking.tracker.dcfst.tracker import DCFSTTracker

# Few and small crops; with a threshold below all scores every frame is refined and learned from.
QUICK: dict[str, Any] = {"image_sample_size": 96, "augment_rotate": (20,), "augment_blur": ()}
FOUND: dict[str, Any] = {**QUICK, "target_not_found_threshold": -1e9, "train_skipping": 2}
BOX = [64.0, 44.0, 28.0, 28.0]
NOTHING = np.empty((0, 4))


def tracked(net: DCFSTNet, params: DCFSTParams, seed: int = 0, frames: int = 4) -> tuple[DCFSTTracker, np.ndarray]:
    """The tracker after some frames, and the boxes of the later ones."""
    images, boxes = moving_target(frames)
    tracker = DCFSTTracker(params, net=net)
    tracker.initialize(images[0], {"init_bbox": list(boxes[0]), "seed": seed})
    return tracker, np.array([tracker.track(image)["target_bbox"] for image in images[1:]])


@pytest.mark.parametrize(
    ("parameter", "changes"),
    [
        ("dcfst18", QUICK),
        ("dcfst18", {**FOUND, "reuse_search_features": True, "solver": "direct", "precision": "bf16"}),
        ("dcfst18_vot19", {**FOUND, "num_init_random_boxes": 0, "integer_boxes": True}),
        ("dcfst18_paper", {"image_sample_size": 96}),
        ("dcfst50", {**FOUND, "hard_negatives": "off"}),
        ("dcfst50_vot18", {**QUICK, "crop_arithmetic": "asis"}),
    ],
)
def test_contract(parameter: str, changes: dict[str, Any], small_weights: Path) -> None:
    check_tracker("dcfst", parameter, weights=small_weights, overrides=changes, device="cpu")


@pytest.mark.parametrize("changes", [{}, {"update": "normal_equations"}, {"reuse_search_features": True}])
def test_ridge_regression_on_random_features_follows_a_square(
    small_net: DCFSTNet, make_video: Callable[..., Any], changes: dict[str, Any]
) -> None:
    """Without the box branch, which knows nothing; the boxes of a random net lead away."""
    still = {"num_init_random_boxes": 0, "box_refinement_step_length": 0.0, "hard_negatives": "off"}
    video = make_video(12)
    tracker = DCFSTTracker(DCFSTParams(**still, image_sample_size=192, **changes), net=small_net)
    tracker.initialize(video.frames[0], {"init_bbox": video.boxes[0].tolist()})
    boxes = np.array([tracker.track(frame)["target_bbox"] for frame in video.frames[1:]])
    apart = np.abs(boxes - video.boxes[1:])[:, :2].max(axis=1)
    assert apart.max() < 12  # half the side of the square; proposals are 8 pixels apart, and it moves 33 in all


@pytest.mark.gpu
def test_the_device_gives_the_cpus_boxes(small_net: DCFSTNet) -> None:
    images, boxes = moving_target(4)
    results = []
    for device in ("cpu", "cuda"):
        tracker = DCFSTTracker(DCFSTParams(**FOUND), device=device, net=small_net)
        tracker.initialize(images[0], {"init_bbox": list(boxes[0])})
        results.append([tracker.track(image)["target_bbox"] for image in images[1:]])
    np.testing.assert_allclose(*results, atol=0.05)


def test_the_callers_net_stays_as_it_is(small_net: DCFSTNet) -> None:
    before = {name: tensor.clone() for name, tensor in small_net.state_dict().items()}
    tracked(small_net, DCFSTParams(**FOUND))
    after = small_net.state_dict()
    assert after.keys() == before.keys() and all(torch.equal(after[name], before[name]) for name in before)


def test_seeds_decide_and_global_random_numbers_do_not(small_net: DCFSTNet) -> None:
    params = DCFSTParams(**FOUND)
    torch.manual_seed(1)
    state = torch.get_rng_state()
    _, first = tracked(small_net, params, seed=5)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    _, same = tracked(small_net, params, seed=5)
    _, other = tracked(small_net, params, seed=6)
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)


def test_the_first_frame_is_one_batch_of_thirteen(small_net: DCFSTNet, monkeypatch: pytest.MonkeyPatch) -> None:
    images, boxes = moving_target(1)
    tracker = DCFSTTracker(replace(dcfst18.parameters(), image_sample_size=96), net=small_net)
    backbone, batches = tracker.net.backbone, []
    monkeypatch.setattr(tracker.net, "backbone", lambda crops: batches.append(len(crops)) or backbone(crops))
    tracker.initialize(images[0], {"init_bbox": list(boxes[0])})
    assert batches == [13]


def test_crops_hold_boxes_of_the_targets_own_shape(small_net: DCFSTNet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Proposals, the box that the box branch learns and the one that is refined, of a target that is no square."""
    tracker = DCFSTTracker(DCFSTParams(**FOUND, debug=1), net=small_net)
    net, seen = tracker.net, {"sizes": [], "maps": [], "learned": []}
    backbone, features, modulation = net.backbone, net.roi_features, net.iou_modulation
    monkeypatch.setattr(net, "backbone", lambda crops: seen["maps"].append(backbone(crops)) or seen["maps"][-1])
    monkeypatch.setattr(net, "roi_features", lambda *given: seen["sizes"].append(given[1]) or features(*given))
    monkeypatch.setattr(net, "iou_modulation", lambda *given: seen["learned"].append(given) or modulation(*given))
    image, (w, h) = moving_target(1)[0][0], (40.0, 20.0)
    tracker.initialize(image, {"init_bbox": [60.0, 50.0, w, h]})
    scale = math.sqrt(w * h) * 5 / 96
    finding = tracker.track(image)["debug"]["finding"]
    assert len(seen["sizes"]) == 3 + 2  # crops of the first frame, and two of the second
    for size in seen["sizes"][:4]:
        assert size.tolist() == [pytest.approx([w / scale, h / scale])]
    ((maps, boxes),) = seen["learned"]
    assert torch.equal(maps["layer3"], seen["maps"][0]["layer3"][:1])  # of the crop that is as it was
    # The crop is cut around the whole pixel next to the centre, (79.5, 59.5).
    expected = [(96 - w / scale) / 2 - 0.5 / scale, (96 - h / scale) / 2 - 0.5 / scale, w / scale, h / scale]
    assert boxes.tolist() == [pytest.approx(expected, abs=1e-4)]
    dy, dx = (moved / scale for moved in finding.translation_yx)
    expected = [(96 - w / scale) / 2 + dx, (96 - h / scale) / 2 + dy, w / scale, h / scale]
    assert finding.start_boxes_xywh[0] == pytest.approx(expected, abs=1e-4)


def finding_of(box: list[float], score: float = 0.5, move: tuple[float, float] = (0.0, 0.0)) -> Finding:
    rows = np.array([box], dtype=float)
    return Finding(score, move, rows, rows, np.zeros(1))


def with_finding(
    tracker: DCFSTTracker, finding: Finding, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], list[float]]:
    monkeypatch.setattr(tracker, "_read", lambda scores, view: finding)
    image = moving_target(1)[0][0]
    return lambda: list(tracker.track(image)["target_bbox"])


def begun(net: DCFSTNet, **changes: Any) -> DCFSTTracker:
    return tracked(net, DCFSTParams(**{**FOUND, **changes}), frames=1)[0]


def test_sizes_are_damped(small_net: DCFSTNet, monkeypatch: pytest.MonkeyPatch) -> None:
    tracker = begun(small_net, scale_damp=0.75)
    scale = tracker.state.target.scale
    w, h = 40.0, 30.0
    box = [(96 - w) / 2, (96 - h) / 2, w, h]
    _, _, width, height = with_finding(tracker, finding_of(box), monkeypatch)()
    assert width == pytest.approx(0.75 * 28 + 0.25 * w * scale)
    assert height == pytest.approx(0.75 * 28 + 0.25 * h * scale)
    assert tracker.state.target.scale == pytest.approx(math.sqrt(width * height) * 5 / 96)


def test_places_are_not_damped_and_move_by_half_a_crop_pixel(
    small_net: DCFSTNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker = begun(small_net)
    (y, x), scale = tracker.state.target.pos_yx, tracker.state.target.scale
    with_finding(tracker, finding_of([38.0 + 5, 38.0 - 3, 20.0, 20.0]), monkeypatch)()
    assert tracker.state.target.pos_yx == pytest.approx((y - 2.5 * scale, x + 5.5 * scale))


def test_without_a_box_worth_taking_the_best_proposal_is_the_place(
    small_net: DCFSTNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker = begun(small_net)
    (y, x), size = tracker.state.target.pos_yx, tracker.state.target.sz_hw
    with_finding(tracker, finding_of([0.0, 0.0, 90.0, 1.0], move=(4.0, -6.0)), monkeypatch)()
    assert tracker.state.target.pos_yx == (y + 4, x - 6) and tracker.state.target.sz_hw == size


@pytest.mark.parametrize("retrain", [False, True])
def test_a_lost_target_keeps_its_box(small_net: DCFSTNet, monkeypatch: pytest.MonkeyPatch, retrain: bool) -> None:
    tracker = begun(small_net, target_not_found_threshold=0.25, retrain_when_lost=retrain, learning_rate=0.5)
    model = tracker.state.model
    model.learn(*(torch.ones_like(part) for part in model._data), rate=0.1)  # something to train on
    before = model.weights
    lost = Finding(0.2, (50.0, 50.0), NOTHING, NOTHING, np.empty(0))
    assert with_finding(tracker, lost, monkeypatch)() == BOX
    assert tracker.track(moving_target(1)[0][0])["object_presence_score"] == 0.0
    assert torch.equal(model.weights, before) != retrain
    assert model.initial_weight == pytest.approx(0.9)


def test_training_takes_turns(small_net: DCFSTNet, monkeypatch: pytest.MonkeyPatch) -> None:
    tracker = begun(small_net, train_skipping=3, hard_negatives="off")
    trained = []
    monkeypatch.setattr(tracker.state.model, "train", lambda: trained.append(tracker.state.frame_num))
    image = moving_target(1)[0][0]
    for _ in range(9):
        tracker.track(image)
    assert trained == [3, 6, 9]


def test_a_hard_negative_trains_at_once(small_net: DCFSTNet, monkeypatch: pytest.MonkeyPatch) -> None:
    never = {"train_skipping": 1000, "hard_negative_distance": 0.0}
    for threshold, times in ((-1e9, 3), (1e9, 0)):
        tracker = begun(small_net, **never, hard_negative_threshold=threshold)
        trained = []
        monkeypatch.setattr(tracker.state.model, "train", lambda seen=trained: seen.append(0))
        for _ in range(3):
            tracker.track(moving_target(1)[0][0])
        assert len(trained) == times


@pytest.mark.parametrize(
    ("settings", "beside", "is_hard"),
    [
        ({"hard_negatives": "absolute", "hard_negative_threshold": 0.3}, 0.31, True),
        ({"hard_negatives": "absolute", "hard_negative_threshold": 0.3}, 0.29, False),
        ({"hard_negatives": "relative", "hard_negative_threshold": 0.5}, 0.41, True),
        ({"hard_negatives": "relative", "hard_negative_threshold": 0.5}, 0.39, False),
        ({"hard_negatives": "relative", "hard_negative_threshold": 0.1}, 0.24, False),  # is no target by itself
        ({"hard_negatives": "off", "hard_negative_threshold": -1.0}, 0.7, False),
    ],
)
def test_hard_negatives(
    small_net: DCFSTNet, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], beside: float, is_hard: bool
) -> None:
    rates = {"learning_rate": 0.125, "hard_negative_learning_rate": 0.25}
    tracker = begun(small_net, target_not_found_threshold=0.25, **rates, **settings)
    count = tracker.grid.count
    scores = torch.zeros(count * count)
    scores[count * count // 2] = 0.8
    scores[0] = beside
    scores[count * count // 2 + 1] = 0.7  # too near to be something else
    monkeypatch.setattr(tracker.state.model, "score", lambda features: scores)
    lesson = Lesson(torch.ones(count * count, 32), tracker.labels, tracker.away)
    assert tracker._learn(lesson) == is_hard
    assert tracker.state.model.initial_weight == pytest.approx(0.75 if is_hard else 0.875)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_scores_that_are_not_finite_are_no_target(
    small_net: DCFSTNet, monkeypatch: pytest.MonkeyPatch, value: float
) -> None:
    tracker = begun(small_net)
    monkeypatch.setattr(tracker.state.model, "score", lambda features: torch.full((len(features),), value))
    out = tracker.track(moving_target(1)[0][0])
    assert out["target_bbox"] == BOX and out["score"] == 0.0 and out["object_presence_score"] == 0.0
    assert tracker.state.model.initial_weight == 1.0


def test_what_is_not_finite_is_not_learned(small_net: DCFSTNet) -> None:
    tracker = begun(small_net)
    features = torch.full((len(tracker.labels), 32), math.nan)
    assert not tracker._learn(Lesson(features, tracker.labels, tracker.away))
    assert tracker.state.model.initial_weight == 1.0


def test_features_that_overflow_in_the_first_frame_are_an_error(
    small_net: DCFSTNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker = DCFSTTracker(DCFSTParams(**QUICK, precision="fp16"), net=small_net)
    features = tracker.net.roi_features
    monkeypatch.setattr(tracker.net, "roi_features", lambda *given: features(*given) * math.inf)
    with pytest.raises(UserError, match="first frame overflow in fp16: use precision fp32"):
        tracker.initialize(moving_target(1)[0][0], {"init_bbox": BOX})


def looks_of(tracker: DCFSTTracker, finding: Finding, monkeypatch: pytest.MonkeyPatch) -> int:
    """How often a frame with a finding passes through the net."""
    looks, look = [], tracker._look
    monkeypatch.setattr(tracker, "_look", lambda image: looks.append(0) or look(image))
    with_finding(tracker, finding, monkeypatch)()
    return len(looks)


def test_a_frame_looks_twice(small_net: DCFSTNet, monkeypatch: pytest.MonkeyPatch) -> None:
    near, far = [38.0 + 4, 38.0, 20.0, 20.0], [38.0 + 14, 38.0, 20.0, 20.0]
    assert looks_of(begun(small_net), finding_of(near), monkeypatch) == 2
    reuse = {"reuse_search_features": True, "reuse_max_offset": 0.5}  # 9.6 crop pixels
    assert looks_of(begun(small_net, **reuse), finding_of(near), monkeypatch) == 1
    assert looks_of(begun(small_net, **reuse), finding_of(far), monkeypatch) == 2
    never = begun(small_net, target_not_found_threshold=0.25)
    assert looks_of(never, finding_of(near, score=0.1), monkeypatch) == 1


def test_reused_features_have_the_labels_of_the_new_place(small_net: DCFSTNet) -> None:
    tracker = begun(small_net, reuse_search_features=True)
    image = moving_target(1)[0][0]
    view, target = tracker._look(image), tracker.state.target
    still = tracker._lesson(image, view)
    torch.testing.assert_close(still.labels, tracker.labels)
    assert torch.equal(still.away, tracker.away) and still.features is view.features
    step = float(tracker.grid.centres[1] - tracker.grid.centres[0]) * view.scale
    target.pos_yx = (target.pos_yx[0], target.pos_yx[1] + step)
    moved = tracker._lesson(image, view)
    rows = tracker.labels.reshape(13, 13)
    torch.testing.assert_close(moved.labels.reshape(13, 13)[:, 1:], rows[:, :-1])
    assert torch.equal(moved.away.reshape(13, 13)[:, 1:], tracker.away.reshape(13, 13)[:, :-1])
    target.scale *= 1.25
    assert float(tracker._lesson(image, view).labels.sum()) > 1.2 * float(rows.sum())


@pytest.mark.parametrize("module", [dcfst18, dcfst50])
def test_targets_that_grow_and_shrink_without_end(
    small_net: DCFSTNet, monkeypatch: pytest.MonkeyPatch, module: Any
) -> None:
    for side, limit in ((1.0, 10), (900.0, 120)):
        tracker, _ = tracked(small_net, replace(module.parameters(), **FOUND), frames=1)
        step = with_finding(tracker, finding_of([48 - side / 2, 48 - side / 2, side, side]), monkeypatch)
        for _ in range(40):
            box = step()
            assert np.isfinite(box).all() and min(box[2:]) > 0
        assert tracker.state.target.sz_hw == pytest.approx((limit, limit), rel=0.05)


def test_boxes_that_run_away_are_not_taken(small_net: DCFSTNet, monkeypatch: pytest.MonkeyPatch) -> None:
    tracker = begun(small_net)
    for bad in ([0.0, 0.0, 1e9, 1e9], [math.inf, 0.0, 30.0, 30.0], [0.0, 0.0, math.nan, 9.0], [1e12, 0.0, 30.0, 30.0]):
        assert with_finding(tracker, finding_of(bad), monkeypatch)()[2:] == BOX[2:]


def test_without_texture_nothing_breaks(small_net: DCFSTNet) -> None:
    """All proposals look alike: every column of X is constant, and the matrix of the system has rank 1."""
    grey = np.full((120, 160, 3), 127, dtype=np.uint8)
    for solver in ("gauss_seidel", "direct"):
        tracker = DCFSTTracker(DCFSTParams(**FOUND, solver=solver, regularization=0.0), net=small_net)
        tracker.initialize(grey, {"init_bbox": BOX})
        for _ in range(5):
            out = tracker.track(grey)
            assert np.isfinite([*out["target_bbox"], out["score"]]).all()


def test_debug_tells_what_was_found(small_net: DCFSTNet) -> None:
    tracker, _ = tracked(small_net, DCFSTParams(**FOUND, debug=1, window_sigma_factor=None))
    out = tracker.track(moving_target(1)[0][0])
    assert out["debug"]["score_map"].shape == (13, 13)
    assert out["score"] == pytest.approx(float(out["debug"]["score_map"].max()))
    assert out["debug"]["finding"].boxes_xywh.shape == (10, 4)
    _, _, w, h = out["search_area"]
    assert w > 0 and h == pytest.approx(w, rel=0.1)


def test_track_needs_a_beginning(small_net: DCFSTNet) -> None:
    with pytest.raises(RuntimeError, match="before initialize"):
        DCFSTTracker(DCFSTParams(), net=small_net).track(moving_target(1)[0][0])


@pytest.mark.parametrize("module", [dcfst18, dcfst50, dcfst50_vot18])
def test_missing_official_weights_say_where_yours_go(module: Any) -> None:
    name = module.parameters().weights
    with pytest.raises(UserError, match=rf"^weights '{name}' not found.*not shipped.*--weights path/to/{name}\.pth"):
        DCFSTTracker(module.parameters())


def test_weights_of_another_net_are_refused(tmp_path: Path) -> None:
    arguments = {"width": 0.125, "decoder": False}
    path = save_model(tmp_path / "other.safetensors", edcf(**arguments), NetSpec("edcf", arguments), {})
    with pytest.raises(UserError, match=r"other\.safetensors.*EDCFNet.*dcfst18"):
        create_tracker("dcfst", "dcfst18", weights=path, device="cpu")
