"""Cutting and scaling pictures."""

from __future__ import annotations

import cv2
import numpy as np

from ltr.dataset.rendering.shapes import radial_mask, random_radius


def pyramid(picture: np.ndarray) -> list[np.ndarray]:
    """A picture (H, W, 3) uint8 at full, half and quarter resolution, from which it is quickly scaled down."""
    half = cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    return [picture, half, cv2.resize(half, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)]


def crop_cutout(
    levels: list[np.ndarray], alpha: np.ndarray, side: float, margin: float
) -> tuple[np.ndarray, np.ndarray]:
    """Crop a photo to its silhouette and scale it.

    Args:
        levels: (H, W, 3) uint8, the photo at full, half, ... resolution.
        alpha: (H, W) uint8.
        side: wanted sqrt(width * height) of the silhouette's bounding box, pixels.
        margin: how much of the surroundings to keep on each side, as a share of the box.

    Returns:
        The crop (h, w, 3) and its alpha (h, w), which is zero on the border.
    """
    left, top, width, height = cv2.boundingRect(cv2.threshold(alpha, 127, 255, cv2.THRESH_BINARY)[1])
    pad_y, pad_x = int(margin * height) + 3, int(margin * width) + 3
    x0, y0 = max(left - pad_x, 0), max(top - pad_y, 0)
    x1, y1 = min(left + width + pad_x, alpha.shape[1]), min(top + height + pad_y, alpha.shape[0])
    scale = side / float(np.sqrt(height * width))
    size = (max(round((x1 - x0) * scale), 4), max(round((y1 - y0) * scale), 4))
    alpha = cv2.resize(alpha[y0:y1, x0:x1], size, interpolation=cv2.INTER_AREA if scale < 1.0 else cv2.INTER_LINEAR)
    rgb = scaled_window(levels, (x0, y0, x1, y1), size)
    return (
        cv2.copyMakeBorder(rgb, 2, 2, 2, 2, cv2.BORDER_REPLICATE),
        cv2.copyMakeBorder(alpha, 2, 2, 2, 2, cv2.BORDER_CONSTANT, value=0),
    )


def scaled_window(levels: list[np.ndarray], window: tuple[int, int, int, int], size: tuple[int, int]) -> np.ndarray:
    """A window x0, y0, x1, y1 of a photo, scaled to `size` (width, height) from the level of its pyramid that suits.

    Args:
        levels: (H, W, 3) uint8, the photo at full, half, ... resolution.
        window: in pixels of the full resolution.
        size: in pixels.
    """
    shrink = min((window[2] - window[0]) / size[0], (window[3] - window[1]) / size[1])
    level = min(max(int(np.log2(max(shrink, 1e-3))), 0), len(levels) - 1)
    picture, factor = levels[level], 0.5**level
    x0, y0 = min(int(window[0] * factor), picture.shape[1] - 1), min(int(window[1] * factor), picture.shape[0] - 1)
    x1, y1 = max(round(window[2] * factor), x0 + 1), max(round(window[3] * factor), y0 + 1)
    # Between levels less than a factor of two is left, which linear interpolation takes without aliasing.
    return np.asarray(cv2.resize(picture[y0:y1, x0:x1], size, interpolation=cv2.INTER_LINEAR))


def random_window(
    rng: np.random.Generator, levels: list[np.ndarray], height: int, width: int, zoom: float
) -> np.ndarray:
    """A random piece of a picture, (height, width, 3) uint8, scaled down by about `zoom`."""
    full_h, full_w = levels[0].shape[:2]
    crop_h, crop_w = min(max(int(height * zoom), 3), full_h), min(max(int(width * zoom), 3), full_w)
    top, left = int(rng.integers(full_h - crop_h + 1)), int(rng.integers(full_w - crop_w + 1))
    return scaled_window(levels, (left, top, left + crop_w, top + crop_h), (width, height))


def textured_region(rng: np.random.Generator, rgb: np.ndarray, side: float) -> np.ndarray:
    """Something in a picture that can be recognised again: of some random shapes the one with most contrast.

    Args:
        rng: source of randomness.
        rgb: (H, W, 3) uint8.
        side: wanted sqrt(width * height) of its bounding box, pixels.

    Returns:
        (H, W) uint8 alpha, zero on the border.
    """
    height, width = rgb.shape[:2]
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    aspect = float(np.exp(rng.normal(0.0, 0.3)))
    box_h = int(np.clip(side * aspect, 6, 0.6 * height))
    box_w = int(np.clip(side / aspect, 6, 0.6 * width))
    corners = np.stack([rng.integers(1, height - box_h, 6), rng.integers(1, width - box_w, 6)], axis=1).tolist()
    y, x = max(corners, key=lambda at: float(grey[at[0] : at[0] + box_h, at[1] : at[1] + box_w].std()))
    mask = np.zeros((height, width), np.uint8)
    mask[y : y + box_h, x : x + box_w] = radial_mask(box_h, box_w, random_radius(rng))
    return mask
