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
    rng: np.random.Generator, labels: np.ndarray, area: tuple[float, float], whole: bool
) -> np.ndarray | None:
    """A union of adjacent regions of a label map.

    Args:
        rng: source of randomness.
        labels: (H, W) integers.
        area: smallest and largest share of the picture.
        whole: leave out regions that touch the picture's border, which are mostly ground or sky.

    Returns:
        (H, W) uint8 alpha with soft edges, zero on the border; None if no union of that size was found.
    """
    names, counts = np.unique(labels, return_counts=True)
    total = labels.size
    rim = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])) if whole else []
    fits = names[(counts < area[1] * total) & (counts > 0.1 * area[0] * total) & ~np.isin(names, rim)]
    for seed in rng.permutation(fits)[:3]:
        chosen = (labels == seed).astype(np.uint8)
        for _ in range(int(rng.integers(0, 4))):
            grown = _with_neighbour(rng, labels, chosen, fits)
            if grown is None or grown.sum() > area[1] * total:
                break
            chosen = grown
        chosen = _largest_piece(chosen)
        if area[0] * total <= chosen.sum() <= area[1] * total:
            soft = cv2.GaussianBlur(chosen * 255, (0, 0), 1.0)
            soft[0] = soft[-1] = 0
            soft[:, 0] = soft[:, -1] = 0
            return np.asarray(soft)
    return None


def _with_neighbour(
    rng: np.random.Generator, labels: np.ndarray, chosen: np.ndarray, fits: np.ndarray
) -> np.ndarray | None:
    """`chosen` joined with one of the regions it touches."""
    edge = (cv2.dilate(chosen, np.ones((5, 5), np.uint8)) > 0) & (chosen == 0)
    beside = np.intersect1d(np.unique(labels[edge]), fits)
    if len(beside) == 0:
        return None
    joined = chosen | (labels == rng.choice(beside)).astype(np.uint8)
    return np.asarray(cv2.morphologyEx(joined, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8)))


def _largest_piece(mask: np.ndarray) -> np.ndarray:
    count, pieces, stats, _ = cv2.connectedComponentsWithStats(mask)
    if count <= 2:
        return mask
    return (pieces == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())).astype(np.uint8)


def crop_cutout(rgb: np.ndarray, alpha: np.ndarray, side: float, margin: float) -> tuple[np.ndarray, np.ndarray]:
    """Crop a photo to its silhouette and scale it.

    Args:
        rgb: (H, W, 3) uint8.
        alpha: (H, W) uint8.
        side: wanted sqrt(width * height) of the silhouette's bounding box, pixels.
        margin: how much of the surroundings to keep on each side, as a share of the box.

    Returns:
        The crop (h, w, 3) and its alpha (h, w), which is zero on the border.
    """
    rows, columns = np.nonzero(alpha.max(axis=1) > 127)[0], np.nonzero(alpha.max(axis=0) > 127)[0]
    height, width = rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1
    pad_y, pad_x = int(margin * height) + 3, int(margin * width) + 3
    top, left = max(rows[0] - pad_y, 0), max(columns[0] - pad_x, 0)
    rgb = rgb[top : rows[-1] + pad_y + 1, left : columns[-1] + pad_x + 1]
    alpha = alpha[top : rows[-1] + pad_y + 1, left : columns[-1] + pad_x + 1]
    scale = side / np.sqrt(height * width)
    size = (max(round(rgb.shape[1] * scale), 4), max(round(rgb.shape[0] * scale), 4))
    how = cv2.INTER_AREA if scale < 1.0 else cv2.INTER_LINEAR
    rgb, alpha = cv2.resize(rgb, size, interpolation=how), cv2.resize(alpha, size, interpolation=how)
    return (
        cv2.copyMakeBorder(rgb, 2, 2, 2, 2, cv2.BORDER_REPLICATE),
        cv2.copyMakeBorder(alpha, 2, 2, 2, 2, cv2.BORDER_CONSTANT, value=0),
    )
