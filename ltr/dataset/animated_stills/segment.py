"""Finding the one large object that a photo shows, by its colours."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

_BINS = 12  # per colour axis
_ROUNDS = 4


def object_mask(rgb: np.ndarray) -> np.ndarray | None:
    """The object in the middle of a photo, where its colours set it apart from those near the border.

    Two colour histograms, of object and surroundings, are begun from a prior (the object is in the middle)
    and improved by turns with the assignment of pixels to them. Coarse, but outlines of real objects teach
    more than ellipses do.

    Args:
        rgb: (h, w, 3) uint8, a photo reduced to about a hundred pixels.

    Returns:
        (h, w) float32 in [0, 1], 0.5 on the outline; None if what was found does not look like an object.
    """
    height, width = rgb.shape[:2]
    y, x = np.mgrid[-1.0 : 1.0 : height * 1j, -1.0 : 1.0 : width * 1j].astype(np.float32)
    prior = np.exp(-2.0 * (x * x + y * y)).astype(np.float32)
    prior[np.maximum(np.abs(x), np.abs(y)) > 0.92] = 0.02
    bins = _colour_bins(rgb)
    belief = prior
    for _ in range(_ROUNDS):
        inside = _smooth_histogram(bins, belief)
        outside = _smooth_histogram(bins, 1.0 - belief)
        likely = (inside / (inside + outside))[bins].astype(np.float32)
        likely = cv2.GaussianBlur(likely, (0, 0), 1.5)
        odds = (likely / (1.02 - likely)) ** 2 * prior / (1.0 - 0.9 * prior) * 1.5
        belief = np.asarray(odds / (1.0 + odds), dtype=np.float32)
    return _as_object(belief, prior)


def _colour_bins(rgb: np.ndarray) -> np.ndarray:
    """(h, w) int64: the bin of each pixel's colour in a grid over Lab, whose axes are stretched to their use."""
    lab = cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB).astype(np.float32)
    low, high = np.percentile(lab, (2, 98), axis=(0, 1))
    span = np.maximum(high - low, 40.0)
    cell = np.clip((lab - 0.5 * (low + high) + 0.5 * span) / span * _BINS, 0, _BINS - 1).astype(np.int64)
    index: np.ndarray = (cell[..., 0] * _BINS + cell[..., 1]) * _BINS + cell[..., 2]
    return index


def _smooth_histogram(bins: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(bins,) weighted counts as a density, each shared with the neighbouring colours."""
    counts: Any = np.bincount(bins.ravel(), weights=weight.ravel(), minlength=_BINS**3).reshape(_BINS, _BINS, _BINS)
    for axis in range(3):
        first, last = counts.take([0], axis), counts.take([-1], axis)
        padded = np.concatenate([first, counts, last], axis)
        inner = np.arange(1, _BINS + 1)
        counts = (
            0.25 * padded.take(inner - 1, axis) + 0.5 * padded.take(inner, axis) + 0.25 * padded.take(inner + 1, axis)
        )
    density: np.ndarray = counts.ravel() / max(float(weight.sum()), 1e-6) + 1e-6
    return density


def _as_object(belief: np.ndarray, prior: np.ndarray) -> np.ndarray | None:
    """The piece of a belief map that holds the middle, without holes; None if it is no plausible object."""
    solid: Any = (belief > 0.5).astype(np.uint8)
    solid = cv2.morphologyEx(solid, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5)))
    count, pieces = cv2.connectedComponents(solid)
    if count < 2:
        return None
    held = np.bincount(pieces.ravel(), weights=prior.ravel())
    held[0] = 0.0
    rims, _ = cv2.findContours((pieces == held.argmax()).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    rim = max(rims, key=len)
    filled = np.zeros_like(solid)
    cv2.drawContours(filled, [rim], -1, 1, -1)
    area = float(filled.sum())
    hull = max(cv2.contourArea(cv2.convexHull(rim)), 1.0)
    border = np.concatenate([filled[0], filled[-1], filled[:, 0], filled[:, -1]])
    if not 0.05 <= area / filled.size <= 0.6 or area / hull < 0.6 or border.mean() > 0.12:
        return None
    return np.asarray(cv2.GaussianBlur(filled.astype(np.float32), (0, 0), 0.8))
