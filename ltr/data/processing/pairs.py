"""Geometry shared by trackers that train on a template and a search region."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ltr.ops.crop import crop_patch


@dataclass(frozen=True, kw_only=True)
class SearchJitter:
    """How a search region misses its target, as the previous frame's box does in tracking."""

    shift: float = 0.25  # standard deviation of the centre's offset in target sizes, cut off at max_shift
    max_shift: float = 0.7
    scale: float = 0.08  # standard deviation of the logarithm of the size error, common to both sides
    aspect: float = 0.04  # the same for the aspect ratio


def centre_and_size(box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``[x, y, w, h]`` to centre ``(x, y)`` and size ``(w, h)``."""
    box = np.asarray(box, dtype=np.float64)
    return box[:2] + box[2:] / 2, np.maximum(box[2:], 1.0)


def jittered(box: np.ndarray, jitter: SearchJitter, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Centre and size of the box that a tracker could have held before this frame."""
    centre, size = centre_and_size(box)
    shift = np.clip(rng.normal(0, jitter.shift, 2), -jitter.max_shift, jitter.max_shift)
    factor = np.exp(np.clip(rng.normal(0, jitter.scale), -2 * jitter.scale, 2 * jitter.scale))
    aspect = np.exp(np.clip(rng.normal(0, jitter.aspect), -2 * jitter.aspect, 2 * jitter.aspect) * np.array([1, -1]))
    guess = size * factor * aspect
    return centre + shift * guess, guess


def region(
    image: np.ndarray, centre: np.ndarray, size: np.ndarray, area_factor: float, output_size: int
) -> np.ndarray:
    """Crop ``area_factor`` times the target's sides; outside the image its mean colour is shown."""
    fill = image.reshape(-1, 3).mean(axis=0)
    return crop_patch(image, centre, size * area_factor, output_size, fill)
