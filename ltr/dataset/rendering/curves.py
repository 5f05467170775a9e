"""Smooth random functions of time, sampled at every frame of a sequence."""

from __future__ import annotations

import numpy as np

TWO_PI = 2.0 * np.pi


def smooth_curves(
    rng: np.random.Generator, count: int, num_frames: int, period: tuple[float, float], terms: int = 3
) -> np.ndarray:
    """Sums of sinusoids with random phases.

    Args:
        rng: source of randomness.
        count: number of independent curves.
        num_frames: F.
        period: shortest and longest period of a term, in frames (log-uniform).
        terms: sinusoids per curve.

    Returns:
        (count, F) float64 in [-1, 1].
    """
    periods = np.exp(rng.uniform(np.log(period[0]), np.log(period[1]), (count, terms)))
    phases = rng.uniform(0.0, TWO_PI, (count, terms))
    # Slow terms carry more: movement of bodies has little energy at high frequencies.
    weights = rng.uniform(0.3, 1.0, (count, terms)) * periods
    weights /= weights.sum(axis=1, keepdims=True)
    angles = TWO_PI * np.arange(num_frames) / periods[..., None] + phases[..., None]
    return np.einsum("ck,ckf->cf", weights, np.sin(angles))


def drifting_curves(rng: np.random.Generator, count: int, num_frames: int, period: tuple[float, float]) -> np.ndarray:
    """Smooth curves mixed with a straight ramp over the sequence, so that its two ends differ.

    Returns:
        (count, F) float64 in [-1, 1].
    """
    ramp = np.linspace(-1.0, 1.0, num_frames) if num_frames > 1 else np.zeros(1)
    slope = rng.uniform(-1.0, 1.0, (count, 1))
    return slope * ramp + (1.0 - np.abs(slope)) * smooth_curves(rng, count, num_frames, period)


def wandering_path(
    rng: np.random.Generator,
    num_frames: int,
    speed: float,
    room: tuple[float, float, float, float],
    upright: bool = False,
) -> np.ndarray:
    """A smooth path of a point through a rectangle.

    Args:
        rng: source of randomness.
        num_frames: F.
        speed: root mean square speed of the path in pixels per frame, before it is made to fit.
        room: x0, y0, x1, y1: the path is moved, and where need be shrunk, to lie inside.
        upright: walkers: mostly sideways movement.

    Returns:
        (F, 2) float64, x and y in pixels.
    """
    path = smooth_curves(rng, 2, num_frames, (0.8 * num_frames + 8, 4.0 * num_frames + 40), terms=2)
    path += 0.08 * rng.uniform() * smooth_curves(rng, 2, num_frames, (15.0, 40.0))
    if upright:
        path[1] *= rng.uniform(0.05, 0.5)
    step = np.sqrt(np.mean(np.sum(np.diff(path, axis=1) ** 2, axis=0))) if num_frames > 1 else 1.0
    path *= speed / max(step, 1e-9)
    for axis in range(2):
        low, high = room[axis], room[axis + 2]
        if high <= low:
            low = high = 0.5 * (low + high)
        span = path[axis].max() - path[axis].min()
        if span > high - low:
            path[axis] *= (high - low) / max(span, 1e-9)
        path[axis] += rng.uniform(low - path[axis].min(), max(high - path[axis].max(), low - path[axis].min()))
    return path.T.copy()
