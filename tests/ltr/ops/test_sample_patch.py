"""The tracking crop: bit by bit the official one (tests/goldens/dimp), and defined wherever a box may wander."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

from ltr.ops.sample_patch import NetInput, place_window, read_window, sample_patch

GOLDENS = Path(__file__).parents[2] / "goldens" / "dimp"


def check_cases(goldens: Mapping[str, np.ndarray], patches: int) -> None:
    """Every case's corners, and the pixels of those that the file holds."""
    seen = 0
    for case in json.loads(str(goldens["sample_patch_cases_json"])):
        for arithmetic in ("asis", "intdiv"):
            patch, window = sample_patch(
                goldens["image"],
                case["pos_yx"],
                case["sample_sz_hw"],
                case["output_sz_hw"],
                mode=case["mode"],
                max_scale_change=case["max_scale_change"],
                arithmetic=arithmetic,
            )
            name = f"sp{case['i']}_{arithmetic}_patch"
            assert list(window.corners) == case[f"{arithmetic}_coord"], name
            if name in goldens:
                np.testing.assert_allclose(patch[0].numpy(), goldens[name], atol=2e-4, err_msg=name)
                seen += 1
    assert seen == patches


def test_official_crops() -> None:
    check_cases(dict(np.load(GOLDENS / "sample_patch.npz")), patches=11)


@pytest.mark.data
def test_all_official_crops(shared_dir: Path) -> None:
    check_cases(dict(np.load(shared_dir / "goldens" / "dimp" / "crop.npz")), patches=30)


def test_asis_reports_a_crop_half_a_pixel_larger() -> None:
    whole = place_window((60, 80), (30, 40), (24, 24), (24, 24), arithmetic="intdiv")
    halves = place_window((60, 80), (30, 40), (24, 24), (24, 24), arithmetic="asis")
    assert whole.scale((24, 24)) == 1 and whole.pos_yx == (30.5, 40.5)
    assert halves.scale((24, 24)) == pytest.approx(24.5 / 24) and halves.pos_yx == (30.25, 40.25)


@pytest.mark.parametrize("arithmetic", ["asis", "intdiv"])
@pytest.mark.parametrize(
    ("pos_yx", "size"),
    [((-500.0, 900.0), 40.0), ((1e6, -1e6), 7.0), ((30.0, 40.0), 1e-3), ((17.0, 33.0), 1e6), ((700.0, 20.0), 5e4)],
)
def test_any_place_and_size_gives_pixels_of_the_image(
    pos_yx: tuple[float, float], size: float, arithmetic: str
) -> None:
    image = np.random.default_rng(0).integers(10, 200, (60, 80, 3), dtype=np.uint8)
    patch, window = sample_patch(image, pos_yx, (size, size), (32, 32), arithmetic=arithmetic)
    assert patch.shape == (1, 3, 32, 32)
    assert image.min() <= float(patch.min()) and float(patch.max()) <= image.max()
    assert np.isfinite(window.pos_yx).all() and window.scale((32, 32)) > 0
    assert read_window(image, window).nbytes < 1e6  # large windows read every n-th pixel


def test_outside_repeats_the_border() -> None:
    image = np.zeros((20, 30, 3), np.uint8)
    image[-1, -1] = (1, 2, 3)
    patch, _ = sample_patch(image, (90.0, 90.0), (8.0, 8.0), (8, 8), arithmetic="intdiv")
    np.testing.assert_array_equal(patch[0, :, 3, 3].numpy(), [1, 2, 3])
    assert float(patch.std(dim=(2, 3)).max()) == 0


@pytest.mark.parametrize("bad", [(float("nan"), 1.0), (1.0, float("inf")), (1.0, 1e12)])
def test_windows_that_cannot_be_are_refused(bad: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="empty or not finite"):
        place_window((20, 30), bad, (8, 8), (8, 8))
    with pytest.raises(ValueError, match="empty or not finite"):
        place_window((20, 30), (5, 5), (8, 0.0), (8, 8))


def test_net_input_is_normalised() -> None:
    pixels = torch.stack([torch.full((4, 4), value) for value in (123.675, 116.28, 103.53)])[None]
    torch.testing.assert_close(NetInput()(pixels), torch.zeros(1, 3, 4, 4), atol=1e-6, rtol=0)
    spread = NetInput()(torch.full((1, 3, 2, 2), 255.0))[0, :, 0, 0]
    torch.testing.assert_close(spread, torch.tensor([0.515 / 0.229, 0.544 / 0.224, 0.594 / 0.225]))
