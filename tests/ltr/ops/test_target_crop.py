"""Crops for training against official ones, byte by byte (tests/goldens/dimp, rfgm), and of boxes of any kind."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from ltr.ops.target_crop import (
    CropMode,
    box_in_centred_crop,
    box_in_window,
    centred_crop,
    cut_window,
    padded_crop,
    padding_mask,
    shifted_crop,
)

GOLDENS = np.load(Path(__file__).parents[2] / "goldens" / "dimp" / "training_crops.npz")
OSTRACK = np.load(Path(__file__).parents[2] / "goldens" / "rfgm" / "tracking.npz")
LOSSES = np.load(Path(__file__).parents[2] / "goldens" / "dimp" / "losses.npz")
CASES = json.loads(str(GOLDENS["sample_target_cases_json"]))
OTHER_BOX = np.array([33.0, 22.0, 9.0, 7.0])


def assert_same_picture(patch: np.ndarray, name: str) -> None:
    # Another build of OpenCV may round the interpolation differently.
    assert np.abs(patch.astype(int) - GOLDENS[name].astype(int)).max() <= 1


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["i"]))
def test_centred_crop_is_the_official_one(case: dict[str, Any]) -> None:
    box = np.array(case["target_bb_xywh"], dtype=np.float64)
    patch, scale = centred_crop(GOLDENS["image"], box, case["search_area_factor"], case["output_sz"])
    assert_same_picture(patch, f"st{case['i']}_crop")
    assert scale == pytest.approx(case["resize_factor"])
    if case["output_sz"] is not None:
        placed = box_in_centred_crop(OTHER_BOX, box, scale, case["output_sz"])
        np.testing.assert_allclose(placed, case["jittered_center_crop_box"], atol=1e-5)


@pytest.mark.parametrize("mode", get_args(CropMode))
@pytest.mark.parametrize("case", [case for case in CASES if case["output_sz"]], ids=lambda case: str(case["i"]))
def test_shifted_crop_is_the_official_one(case: dict[str, Any], mode: CropMode) -> None:
    box = np.array(case["target_bb_xywh"], dtype=np.float64)
    change = 1.5 if mode == "inside_major" else None
    patch, window = shifted_crop(
        GOLDENS["image"], box, case["search_area_factor"], case["output_sz"], mode, change
    )
    assert_same_picture(patch, f"sta{case['i']}_{mode}_crop")
    np.testing.assert_array_equal(window, case[f"adaptive_{mode}_crop_box"])
    placed = box_in_window(OTHER_BOX, window, case["output_sz"])
    np.testing.assert_allclose(placed, case[f"target_image_crop_{mode}_box"], atol=1e-5)


@pytest.mark.parametrize("case", range(4))
def test_padded_crop_is_the_official_one(case: int, picture_by_recipe: Callable[[str, int, int], np.ndarray]) -> None:
    image = picture_by_recipe("ost.crop", 120, 160)
    golden = {name.split("_", 1)[1]: OSTRACK[name] for name in OSTRACK.files if name.startswith(f"crop/{case}_")}
    factor, size = golden["factor_size"]
    patch, scale = padded_crop(image, golden["box"], factor, int(size))
    assert scale == golden["resize_factor"]
    sampled = patch.reshape(-1)[golden["img/idx"]]
    assert np.abs(sampled - golden["img/val"]).max() <= 1  # another build of OpenCV may round differently
    assert abs(float(patch.sum()) / float(golden["img/sum"]) - 1) < 1e-4
    mask = padding_mask((120, 160), golden["box"], factor, int(size))
    assert mask.sum() == golden["mask_sum"]
    assert not patch[_inner(mask)].any()


def test_a_padding_mask_of_any_window_needs_little_memory() -> None:
    box = np.array([-1e6, -1e6, 2e6, 2e6])  # as a whole its window would take 64 TB
    mask = padding_mask((400_000, 400_000), box, 4, 64)
    assert mask.shape == (64, 64)
    for axis in (0, 1):
        assert np.flatnonzero(~mask.all(axis)).tolist() == [32, 33, 34]  # 400,000 of 8,000,000 pixels


def _inner(mask: np.ndarray) -> np.ndarray:
    """The mask without the pixels that are interpolated with the image's."""
    padded = np.pad(mask, 2, constant_values=True)
    size = mask.shape[0]
    return np.logical_and.reduce([padded[dy : dy + size, dx : dx + size] for dy in range(5) for dx in range(5)])


@pytest.mark.parametrize("start", [(0, 0), (40, 30), (90, 60)])
def test_a_huge_window_shows_the_same_picture(start: tuple[int, int]) -> None:
    """Where pixels are left out, the target stays at its place."""
    image = np.zeros((1000, 1000, 3), np.uint8)
    x, y = start
    image[y : y + 500, x : x + 500] = 255
    box = np.array([x, y, 5000.0, 5000.0])  # a window of 20,000 pixels, cut from every third
    patch, scale = padded_crop(image, box, 4.0, 256)
    bright = np.argwhere(patch[..., 0] > 127)
    left, top, _, _ = box_in_centred_crop(box, box, scale, 256)
    np.testing.assert_allclose(bright.min(axis=0), [top, left], atol=1)
    np.testing.assert_allclose(bright.max(axis=0) + 1, [top + 500 * scale, left + 500 * scale], atol=1)


def test_coordinates_as_in_the_official_code() -> None:
    box, around = LOSSES["iou_ref"], LOSSES["iou_props"][2]
    np.testing.assert_allclose(box_in_centred_crop(box, around, 0.8, 288), LOSSES["transform_image_to_crop"])
    placed = box_in_window(box, np.array([30, 20, 200, 200]), 288)
    np.testing.assert_allclose(placed, LOSSES["transform_box_to_crop"], rtol=1e-6)


def test_the_target_is_seen_where_the_box_says() -> None:
    image = np.zeros((90, 120, 3), np.uint8)
    image[40:60, 70:100] = 255
    box = np.array([70.0, 40.0, 30.0, 20.0])
    patch, window = shifted_crop(image, box, 3.0, 147)
    bright = np.argwhere(patch[..., 0] > 127)
    x, y, w, h = box_in_window(box, window, 147)
    np.testing.assert_allclose(bright.min(axis=0), [y, x], atol=1)
    np.testing.assert_allclose(bright.max(axis=0) + 1, [y + h, x + w], atol=1)


@pytest.mark.parametrize(
    "box",
    [
        (500, 400, 20, 20),  # far outside
        (-300, -200, 10, 30),
        (0, 0, 60, 40),  # the whole image
        (20, 10, 1, 1),
        (20, 10, 0.2, 0.3),
        (-100, -100, 400, 400),
        (59.5, 39.5, 3, 3),
    ],
)
def test_any_box_gives_a_picture(box: tuple[float, ...]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    for crop in (centred_crop, shifted_crop, padded_crop):
        patch = crop(image, np.array(box), 4.0, 32)[0]
        assert patch.shape == (32, 32, 3)
        assert patch.dtype == np.uint8
        assert patch.flags.c_contiguous


def test_window_of_an_image_of_one_pixel() -> None:
    image = np.full((1, 1, 3), 9, np.uint8)
    np.testing.assert_array_equal(cut_window(image, (-2, 3), 4), np.full((4, 4, 3), 9))
