"""Parameters of the DCFST tracker: the official values, what is refused, and that each of them does something."""

from __future__ import annotations

import copy
import importlib
import math
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from ltr.admin.errors import UserError
from ltr.models.tracking.dcfst import DCFSTNet
from pytracking.host import prepare_parameters
from pytracking.testing import moving_target
from pytracking.tracker.dcfst.params import DCFSTParams
from pytracking.tracker.dcfst.tracker import DCFSTTracker

# Few and small crops; every frame is found and learned from, and none is a hard negative.
BASE = DCFSTParams(
    image_sample_size=96,
    augment_rotate=(20,),
    augment_blur=(),
    target_not_found_threshold=-1e9,
    hard_negative_threshold=1e9,
    train_skipping=2,
)
ALWAYS_HARD = {"hard_negative_threshold": -1e9}

# What the first frame's model depends on, and other values.
FIRST_FRAME: dict[str, Any] = {
    "precision": "bf16",
    "image_sample_size": 112,
    "update": "normal_equations",
    "regularization": 1.0,
    "label_sigma": 0.5,
    "augment_fliplr": False,
    "augment_blur": ((2, 2),),
    "augment_rotate": (),
    "augmentation_expansion_factor": 1.0,
}
# What later frames alone depend on: other values, and what must be set for them to count.
LATER_FRAMES: dict[str, tuple[Any, dict[str, Any]]] = {
    "crop_arithmetic": ("asis", {}),
    "solver": ("direct", {}),
    "gauss_seidel_sweeps": (3, {}),
    "learning_rate": (0.5, {}),
    "init_samples_minimum_weight": (0.9, {"learning_rate": 0.5}),
    "train_skipping": (3, {}),
    "retrain_when_lost": (True, {"target_not_found_threshold": 1e9}),
    "hard_negatives": ("off", ALWAYS_HARD),
    "hard_negative_threshold": (-1e9, {}),
    "hard_negative_distance": (10.0, ALWAYS_HARD),  # nothing is so far away
    "hard_negative_learning_rate": (0.9, ALWAYS_HARD),
    "target_not_found_threshold": (1e9, {}),
    "window_sigma_factor": (0.2, {}),
    "window_min": (0.0, {"window_sigma_factor": 0.2}),
    "num_init_random_boxes": (3, {}),
    "box_jitter_pos": (1.0, {}),
    "box_jitter_sz": (0.1, {}),
    "box_refinement_iter": (2, {}),
    "box_refinement_step_length": (0.3, {}),
    "box_refinement_step_decay": (0.5, {}),
    "gradient_decimals": (None, {}),
    "maximal_aspect_ratio": (1.01, {}),
    "iounet_k": (1, {}),
    "scale_damp": (0.0, {}),
    "minimum_side": (60.0, {}),
    "output_box": ("clipped", {}),
    "integer_boxes": (True, {}),
    "reuse_search_features": (True, {"reuse_max_offset": 2.0}),
    "reuse_max_offset": (0.0, {"reuse_search_features": True}),
}


def results(net: DCFSTNet, params: DCFSTParams) -> list[np.ndarray]:
    """The first frame's model, and boxes, scores and models of later frames."""
    images, boxes = moving_target(5)
    tracker = DCFSTTracker(params, net=net)
    tracker.initialize(images[0], {"init_bbox": list(boxes[0])})
    rows = [tracker.state.model.weights.numpy().copy()]
    for image in images[1:]:
        out = tracker.track(image)
        rows.append(np.array([*out["target_bbox"], out["score"], *tracker.state.model.weights.tolist()]))
    return rows


def test_the_first_crops_are_cut_by_the_arithmetic_asked_for(small_net: DCFSTNet) -> None:
    """They differ for windows of an even number of pixels whose corner is in the image."""
    models = []
    for arithmetic in ("asis", "intdiv"):
        params = replace(BASE, augmentation_expansion_factor=1.0, crop_arithmetic=arithmetic)
        tracker = DCFSTTracker(params, net=small_net)
        tracker.initialize(moving_target(1)[0][0], {"init_bbox": [75.0, 55.0, 8.0, 8.0]})
        models.append(tracker.state.model.weights)
    assert not models[0].equal(models[1])


def same(these: list[np.ndarray], others: list[np.ndarray]) -> bool:
    return all(np.array_equal(this, other) for this, other in zip(these, others, strict=True))


def test_the_nets_own_regularization_is_taken_where_none_is_set(small_net: DCFSTNet) -> None:
    net = copy.deepcopy(small_net)
    net.regularization = 1.0
    own = results(net, replace(BASE, regularization=None))
    assert same(own, results(small_net, replace(BASE, regularization=1.0)))
    assert not same(own, results(small_net, BASE))


def test_every_parameter_is_in_a_table() -> None:
    names = {field.name for field in fields(DCFSTParams)} - {"weights", "debug"}
    assert names == {*FIRST_FRAME, *LATER_FRAMES}


@pytest.fixture(scope="module")
def plain(small_net: DCFSTNet) -> list[np.ndarray]:
    found = results(small_net, BASE)
    assert same(found, results(small_net, BASE))  # else the tests below could not fail
    return found


@pytest.mark.parametrize("name", FIRST_FRAME)
def test_parameters_of_the_first_frame_count(small_net: DCFSTNet, plain: list[np.ndarray], name: str) -> None:
    changed = results(small_net, replace(BASE, **{name: FIRST_FRAME[name]}))
    assert not np.array_equal(changed[0], plain[0])


@pytest.mark.parametrize("name", LATER_FRAMES)
def test_parameters_of_later_frames_count(small_net: DCFSTNet, plain: list[np.ndarray], name: str) -> None:
    value, others = LATER_FRAMES[name]
    before = results(small_net, replace(BASE, **others)) if others else plain
    after = results(small_net, replace(BASE, **{**others, name: value}))
    assert np.array_equal(before[0], after[0])
    assert not same(before[1:], after[1:])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"image_sample_size": 250}, "multiple of 16"),
        ({"learning_rate": 1.5}, "learning_rate"),
        ({"regularization": math.nan}, "regularization"),
        ({"regularization": -0.1}, "regularization"),
        ({"window_sigma_factor": 0.0}, "window_sigma_factor"),
        ({"augment_blur": ((0, 1),)}, "augment_blur"),
        ({"augment_rotate": (math.nan,)}, "augment_rotate"),
        ({"target_not_found_threshold": math.nan}, "target_not_found_threshold"),
        ({"box_refinement_step_length": math.inf}, "box_refinement_step_length"),
        ({"train_skipping": 0}, "train_skipping"),
        ({"gauss_seidel_sweeps": -1}, "gauss_seidel_sweeps"),
    ],
)
def test_parameters_out_of_range_are_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        replace(DCFSTParams(), **change)


# The official parameter files: rates, thresholds, window, damping.
OFFICIAL = {
    "dcfst18": (0.013, 0.25, 0.3, 0.125, 1.05, 0.5, 0.7),
    "dcfst18_got10k": (0.016, 0.3, 0.3, 0.15, 1.3, 0.5, 0.3),
    "dcfst18_nfs": (0.016, 0.25, 0.3, 0.125, 2.2, 0.8, 0.3),
    "dcfst18_trackingnet": (0.01, 0.3, 0.3, 0.1, 0.8, 0.6, 0.5),
    "dcfst18_vot19": (0.018, 0.1, 0.15, 0.16, 0.8, 0.4, 0.5),
    "dcfst50": (0.02, 0.2, 0.5, 0.1, 1.0, 0.5, 0.4),
    "dcfst50_trackingnet": (0.016, 0.2, 0.5, 0.01, 1.2, 0.5, 0.3),
    "dcfst50_vot18": (0.018, 0.0, 0.5, 0.22, 0.9, 0.3, 0.6),
}


@pytest.mark.parametrize("name", OFFICIAL)
def test_official_values(name: str) -> None:
    p = importlib.import_module(f"pytracking.parameter.dcfst.{name}").parameters()
    assert OFFICIAL[name] == (
        p.learning_rate, p.target_not_found_threshold, p.hard_negative_threshold, p.hard_negative_learning_rate,
        p.window_sigma_factor, p.window_min, p.scale_damp,
    )  # fmt: skip
    is_18 = "18" in name.split("_")[0]
    assert p.weights == ("dcfst18" if is_18 else "dcfst50")
    assert (p.update, p.hard_negatives, p.retrain_when_lost, p.output_box) == (
        ("features", "absolute", False, "inclusive") if is_18 else ("normal_equations", "relative", True, "clipped")
    )
    assert (p.num_init_random_boxes, p.box_jitter_pos, p.iounet_k) == ((9, 0.1, 3) if is_18 else (19, 0.2, 5))
    assert (p.gauss_seidel_sweeps, p.train_skipping, p.regularization, p.label_sigma) == (30, 10, 0.1, 0.25)
    assert (p.init_samples_minimum_weight, p.hard_negative_distance, p.image_sample_size) == (0.25, 0.75, 288)
    assert (p.box_jitter_sz, p.box_refinement_iter, p.gradient_decimals, p.maximal_aspect_ratio) == (0.5, 5, 2, 6)
    assert (p.minimum_side, p.augmentation_expansion_factor, p.reuse_search_features) == (10, 2, False)
    assert p.augment_fliplr and p.augment_rotate == (5, -5, 10, -10, 20, -20)
    assert p.augment_blur == ((2, 0.2), (0.2, 2), (3, 1), (1, 3), (2, 2))


def test_the_papers_values() -> None:
    p = importlib.import_module("pytracking.parameter.dcfst.dcfst18_paper").parameters()
    assert (p.update, p.solver, p.gauss_seidel_sweeps, p.train_skipping) == ("features", "gauss_seidel", 5, 1)
    assert (p.learning_rate, p.init_samples_minimum_weight, p.regularization) == (0.01, 0.25, 0.1)
    assert (p.hard_negatives, p.window_sigma_factor, p.scale_damp, p.gradient_decimals) == ("off", None, 0, None)
    assert not (p.augment_fliplr or p.augment_blur or p.augment_rotate)


def test_settings_as_text() -> None:
    params = prepare_parameters("dcfst", "dcfst18", overrides={"window_sigma_factor": "none", "augment_rotate": "10"})
    assert params.window_sigma_factor is None and params.augment_rotate == (10,)
    with pytest.raises(UserError, match="scale_damp"):
        prepare_parameters("dcfst", "dcfst18", overrides={"scale_dmap": "0.7"})
