"""Boxes near a target: guesses that a search region is built on, and proposals whose overlap a net learns to tell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np


class Draws(Protocol):
    """What is asked of a ``numpy.random.Generator`` here, in this order; tests replay recorded draws through it."""

    def choice(self, a: Sequence[float]) -> float: ...

    def random(self, size: int) -> np.ndarray: ...

    def standard_normal(self, size: int) -> np.ndarray: ...


def jittered_box(box_xywh: np.ndarray, size_jitter: float, centre_jitter: float, rng: Draws) -> np.ndarray:
    """The box as a tracker could have guessed it: first its size, then its centre is disturbed.

    Args:
        box_xywh: ``(4,)``.
        size_jitter: standard deviation of the logarithms of the two size errors.
        centre_jitter: range of the centre's uniform offset in units of ``sqrt(w * h)`` of the disturbed size.
        rng: gives two normal numbers, then two uniform ones.

    Returns:
        ``(4,)`` float32 xywh.
    """
    box = np.asarray(box_xywh, dtype=np.float32)
    size = box[2:] * np.exp(_float32(rng.standard_normal(2)) * np.float32(size_jitter))
    reach = np.sqrt(size.prod()) * np.float32(centre_jitter)
    centre = box[:2] + 0.5 * box[2:] + reach * (_float32(rng.random(2)) - np.float32(0.5))
    return np.concatenate([centre - 0.5 * size, size])


def proposals(
    box_xywh: np.ndarray, count: int, sigma_factors: Sequence[float], min_iou: float, rng: Draws
) -> tuple[np.ndarray, np.ndarray]:
    """Boxes around the target, and how much each overlaps it.

    Returns:
        ``(count, 4)`` and ``(count,)`` float32.
    """
    found = [perturbed_box(box_xywh, min_iou, sigma_factors, rng) for _ in range(count)]
    return np.stack([box for box, _ in found]), np.array([iou for _, iou in found], dtype=np.float32)


def perturbed_box(
    box_xywh: np.ndarray, min_iou: float, sigma_factors: Sequence[float], rng: Draws, max_tries: int = 100
) -> tuple[np.ndarray, float]:
    """One box near another, by Gaussian noise on its centre and size (ATOM Section 3.2).

    After each try that overlaps too little, the noise is made smaller by a tenth.

    Args:
        box_xywh: ``(4,)``.
        min_iou: the overlap that the box must exceed; after ``max_tries`` the last one is taken all the same.
        sigma_factors: one of them, times ``sqrt(w * h)``, is the noise's standard deviation.
        rng: gives the choice of the factor and, in each try, four normal numbers; a size of a pixel or less is drawn
            anew as 0.15 to 0.5 of the box's, from one uniform number each.

    Returns:
        The box, rounded to whole pixels, ``(4,)`` float32 xywh, and its overlap with ``box_xywh``.
    """
    box = np.asarray(box_xywh, dtype=np.float32)
    sigma = np.float32(rng.choice(sigma_factors)) * np.sqrt(box[2] * box[3])
    mean = np.concatenate([box[:2] + 0.5 * box[2:], box[2:]])
    for _ in range(max_tries):
        noisy = mean + _float32([rng.standard_normal(1)[0] for _ in range(4)]) * sigma
        for axis in (2, 3):
            if noisy[axis] <= 1:
                noisy[axis] = mean[axis] * (0.15 + 0.35 * _float32(rng.random(1))[0])
        candidate = np.round(np.concatenate([noisy[:2] - 0.5 * noisy[2:], noisy[2:]]))
        overlap = _iou(box, candidate)
        if overlap > min_iou:
            break
        sigma *= np.float32(0.9)
    return candidate, overlap


def _float32(values: np.ndarray | Sequence[float]) -> np.ndarray:
    return np.asarray(values, dtype=np.float32)


def _iou(first: np.ndarray, second: np.ndarray) -> float:
    size = np.minimum(first[:2] + first[2:], second[:2] + second[2:]) - np.maximum(first[:2], second[:2])
    common = size.clip(min=0).prod()
    return float(common / (first[2:].prod() + second[2:].prod() - common))
