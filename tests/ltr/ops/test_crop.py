"""Crops: geometry, borders, averaging of large windows."""

from __future__ import annotations

import numpy as np
import pytest

from ltr.ops.crop import crop_patch, to_tensor


def ramp(height: int = 60, width: int = 80) -> np.ndarray:
    """Red grows by 3 per column, green by 4 per row."""
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 0] = np.arange(width) * 3
    image[..., 1] = (np.arange(height) * 4)[:, None]
    return image


def test_unit_scale_crop_copies_pixels() -> None:
    image = ramp()
    patch = crop_patch(image, (30.0, 20.0), (10.0, 10.0), 10)
    np.testing.assert_array_equal(patch, image[15:25, 25:35])


def test_crop_enlarges_about_the_centre_of_the_window() -> None:
    patch = crop_patch(ramp(), (30.5, 20.5), (11.0, 11.0), 33).astype(float)
    assert patch[16, 16, 0] == pytest.approx(90, abs=1) and patch[16, 16, 1] == pytest.approx(80, abs=1)
    np.testing.assert_allclose(np.diff(patch[16, 2:-2, 0]).mean(), 1.0, atol=0.05)


def test_axes_are_scaled_on_their_own() -> None:
    patch = crop_patch(ramp(), (40.0, 30.0), (20.0, 40.0), 40).astype(float)
    np.testing.assert_allclose(np.diff(patch[20, :, 0]).mean(), 1.5, atol=0.1)
    np.testing.assert_allclose(np.diff(patch[:, 20, 1]).mean(), 4.0, atol=0.1)


def test_outside_shows_the_fill_colour() -> None:
    patch = crop_patch(ramp(), (0.0, 0.0), (20.0, 20.0), 20, fill=(7, 8, 9))
    assert (patch[:9, :9] == (7, 8, 9)).all() and patch[15, 15, 0] == 15


@pytest.mark.parametrize("centre", [(-500.0, -500.0), (900.0, 30.0), (40.0, 5000.0)])
@pytest.mark.parametrize("size", [10.0, 300.0])
def test_a_window_far_outside_is_all_fill(centre: tuple[float, float], size: float) -> None:
    assert (crop_patch(ramp(), centre, (size, size), 16, fill=(7, 8, 9)) == (7, 8, 9)).all()


def test_large_windows_are_averaged_not_aliased() -> None:
    checks = np.zeros((256, 256, 3), np.uint8)
    checks[::2, ::2] = checks[1::2, 1::2] = 255
    patch = crop_patch(checks, (128.0, 128.0), (200.0, 200.0), 40)
    assert abs(patch[2:-2, 2:-2].astype(float) - 127.5).max() < 10


def test_averaged_crop_keeps_the_geometry() -> None:
    image = ramp(240, 80)
    image[..., 1] = (np.arange(240)[:, None]).astype(np.uint8)
    patch = crop_patch(image, (40.0, 120.0), (70.0, 140.0), 35).astype(float)
    expected_row = 50 + (np.arange(35) + 0.5) * 4 - 0.5
    np.testing.assert_allclose(patch[:, 17, 1], expected_row, atol=1.0)
    expected_column = (5 + (np.arange(35) + 0.5) * 2 - 0.5) * 3
    np.testing.assert_allclose(patch[17, :, 0], expected_column, atol=2.0)


def test_to_tensor_normalises_by_imagenet() -> None:
    tensor = to_tensor([np.full((4, 4, 3), 255, np.uint8)])
    assert tensor.shape == (1, 3, 4, 4)
    expected = [(1 - 0.485) / 0.229, (1 - 0.456) / 0.224, (1 - 0.406) / 0.225]
    np.testing.assert_allclose(tensor[0, :, 0, 0], expected, 1e-5)
