"""Cutting objects out of photos."""

from __future__ import annotations

import cv2
import numpy as np

from ltr.dataset.rendering.shapes import radial_mask, random_radius


def shape_mask(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A random soft shape near the middle of a photo -> (height, width) uint8 alpha.

    Photos that show one object show it large and near the middle.
    """
    box_h, box_w = (int(side * rng.uniform(0.3, 0.8)) for side in (height, width))
    box_h, box_w = max(box_h, 8), max(box_w, 8)
    top = int(np.clip(0.5 * (height - box_h) + rng.normal(0.0, 0.06) * height, 1, height - box_h - 1))
    left = int(np.clip(0.5 * (width - box_w) + rng.normal(0.0, 0.06) * width, 1, width - box_w - 1))
    mask = np.zeros((height, width), np.uint8)
    mask[top : top + box_h, left : left + box_w] = radial_mask(box_h, box_w, random_radius(rng))
    return mask


def region_mask(
    rng: np.random.Generator, labels: np.ndarray, area: tuple[float, float]
) -> np.ndarray | None:
    """A union of adjacent regions of a label map, of such that do not touch the border (mostly ground or sky).

    Args:
        rng: source of randomness.
        labels: (H, W) uint8.
        area: smallest and largest share of the picture.

    Returns:
        (H, W) uint8 alpha with soft edges, zero on the border; None if no union of that size was found.
    """
    height, width = labels.shape
    small = labels[::2, ::2]
    counts = np.bincount(small.ravel(), minlength=256)
    low, high = area[0] * small.size, area[1] * small.size
    rim = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    fits = (counts < high) & (counts > max(0.2 * low, 4.0))
    fits[rim] = False
    candidates = np.flatnonzero(fits)
    for seed in rng.permutation(candidates)[:3]:
        chosen = (small == seed).astype(np.uint8)
        for _ in range(int(rng.integers(0, 4))):
            grown = _with_neighbour(rng, small, chosen, fits)
            if grown is None or cv2.countNonZero(grown) > high:
                break
            chosen = grown
        chosen = _largest_piece(chosen)
        if low <= cv2.countNonZero(chosen) <= high:
            soft = np.asarray(cv2.resize(255 * chosen, (width, height), interpolation=cv2.INTER_LINEAR))
            soft[0] = soft[-1] = 0
            soft[:, 0] = soft[:, -1] = 0
            return soft
    return None


def _with_neighbour(
    rng: np.random.Generator, labels: np.ndarray, chosen: np.ndarray, fits: np.ndarray
) -> np.ndarray | None:
    """`chosen` joined with one of the regions it touches, out of those for which `fits` (256,) is True."""
    edge = cv2.subtract(cv2.dilate(chosen, np.ones((3, 3), np.uint8)), chosen)
    beside = np.flatnonzero((np.bincount(labels[edge > 0], minlength=256) > 0) & fits)
    if len(beside) == 0:
        return None
    joined = chosen | (labels == rng.choice(beside)).astype(np.uint8)
    return np.asarray(cv2.morphologyEx(joined, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8)))


def _largest_piece(mask: np.ndarray) -> np.ndarray:
    """The largest connected piece of a mask of 0 and 1."""
    count, pieces, stats, _ = cv2.connectedComponentsWithStats(mask)
    if count <= 2:
        return mask
    return (pieces == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())).astype(np.uint8)


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
