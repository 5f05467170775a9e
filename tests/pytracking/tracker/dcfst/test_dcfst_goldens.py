"""Parts of the online tracker against numbers of the official code (tests/goldens/dcfst/online.npz)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from ltr.ops.sample_patch import sample_patch
from pytracking.components.init_augment import Augmentation
from pytracking.components.iou_refine import BoxSearch
from pytracking.parameter.dcfst import dcfst18
from pytracking.tracker.dcfst.grid import Grid
from pytracking.tracker.dcfst.model import Learning, TargetModel, mixing_coefficient
from pytracking.tracker.dcfst.params import DCFSTParams

FOLDER = Path(__file__).parents[3] / "goldens" / "dcfst"
GOLDENS = np.load(FOLDER / "online.npz")

CHANGES = {
    "identity": Augmentation(),
    "fliplr": Augmentation(flip=True),
    "rot5": Augmentation(rotate=5),
    "rot-20": Augmentation(rotate=-20),
    "blur2_0.2": Augmentation(blur_yx=(2, 0.2)),
    "blur1_3": Augmentation(blur_yx=(1, 3)),
}


@pytest.fixture(scope="module")
def image(picture_by_recipe: Callable[[str, int, int], np.ndarray]) -> np.ndarray:
    return picture_by_recipe("dcfst.patch", 120, 160)


def check_samples(name: str, crop: Tensor, grey_levels: float) -> None:
    values = crop.numpy().ravel()
    sampled = values[GOLDENS[f"crops/{name}/idx"]]
    np.testing.assert_allclose(sampled, GOLDENS[f"crops/{name}/val"], atol=grey_levels, err_msg=name)
    total = values.sum(dtype=np.float64)
    assert total == pytest.approx(float(GOLDENS[f"crops/{name}/sum"]), abs=grey_levels * len(values)), name


def test_crops(image: np.ndarray) -> None:
    """As the default arithmetic cuts them, that of whole numbers."""
    arithmetic = DCFSTParams().crop_arithmetic
    for number, case in enumerate(GOLDENS["crops/cases_posy_posx_szy_szx_outy_outx"].tolist()):
        crop, _ = sample_patch(image, case[:2], case[2:4], [int(v) for v in case[4:]], arithmetic=arithmetic)
        check_samples(f"patch{number}", crop, 1e-3)


def test_first_frame_crops(image: np.ndarray) -> None:
    patch, _ = sample_patch(image, (60, 80), (128, 128), (128, 128), arithmetic="intdiv")
    for name, change in CHANGES.items():
        check_samples(f"aug_{name}", change(patch[0], 64), 1e-3)


@pytest.mark.parametrize("net", ["18", "50"])
def test_boxes_climb_by_rounded_gradients(net: str) -> None:
    boxes, gradients = GOLDENS[f"refine{net}/boxes"], iter(GOLDENS[f"refine{net}/gradients"])
    search = BoxSearch(random_boxes=0, iterations=5, gradient_decimals=dcfst18.parameters().gradient_decimals)

    def predict(now: Tensor) -> tuple[Tensor, Tensor]:
        return now.new_zeros(len(now)), torch.from_numpy(next(gradients))[:1]

    rows = search.climb(predict, torch.from_numpy(boxes[0][0]), torch.empty(0, 4, dtype=torch.float64))
    np.testing.assert_allclose(rows[0, 4:8], boxes[-1][0], atol=1e-9)


def test_the_first_frame_keeps_its_share() -> None:
    features, labels = torch.eye(3), torch.tensor([1.0, 0.5, 0.0])
    model = TargetModel([features], labels, Learning(minimum_initial_weight=0.25))
    weight = 1.0
    series = zip(*(GOLDENS[f"first_frame/{name}"].tolist() for name in ("rate", "weight", "mixed_in")), strict=True)
    for rate, expected, mixed_in in series:
        assert mixing_coefficient(weight * (1 - rate), 0.25) == pytest.approx(mixed_in, abs=1e-9)
        model.learn(torch.zeros(3, 3), labels, rate)
        weight = model.initial_weight
        assert weight == pytest.approx(expected, abs=1e-9)
        # As all other frames were zero, this is the first one's share.
        torch.testing.assert_close(model._data[0], weight * features, atol=1e-5, rtol=0)
    assert weight == 0.25


def test_proposals_away_from_the_target() -> None:
    """Both official trackers search distractors among the same 864 of 961 proposals."""
    grid = Grid(288, 5.0, 31, torch.device("cpu"))
    assert int(grid.away(DCFSTParams().hard_negative_distance * grid.unit).sum()) == 864


def test_labels_and_window() -> None:
    with np.load(FOLDER / "grid.npz") as official:
        grid, params = Grid(288, 5.0, 31, torch.device("cpu")), dcfst18.parameters()
        np.testing.assert_allclose(grid.gaussian(params.label_sigma), official["track_labels"], atol=1e-6)
        window = grid.gaussian(params.window_sigma_factor or 0).clamp(min=params.window_min)
        np.testing.assert_allclose(window, official["window_sigma1.05_min0.5"], atol=1e-6)
