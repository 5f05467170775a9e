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


def region_mask(rng: np.random.Generator, labels: np.ndarray, area: tuple[float, float]) -> np.ndarray | None:
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
