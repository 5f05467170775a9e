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
    periods = np.exp(rng.uniform(np.log(period[0]), np.log(period[1]), (count, terms, 1)))
    phases = rng.uniform(0.0, TWO_PI, (count, terms, 1))
    # Slow terms carry more: movement of bodies has little energy at high frequencies.
    weights = rng.uniform(0.3, 1.0, (count, terms, 1)) * periods
    weights /= weights.sum(axis=1, keepdims=True)
    curves: np.ndarray = (weights * np.sin(TWO_PI * np.arange(num_frames) / periods + phases)).sum(axis=1)
    return curves


class CurveBank:
    """Slow curves of one sequence, handed out one after the other.

    They are drawn in batches: one call for thirty curves costs little more than one for a single curve.

    Args:
        rng: source of randomness.
        num_frames: F.
        shortest: period of the fastest term, in frames.
    """

    _BATCH = 32

    def __init__(self, rng: np.random.Generator, num_frames: int, shortest: float = 22.0) -> None:
        self._rng, self._num_frames, self._shortest = rng, num_frames, shortest
        self._stock = np.empty((0, num_frames))

    def take(self, count: int) -> np.ndarray:
        """The next curves: smooth ones mixed with a straight ramp, so that the ends of the sequence differ.

        Returns:
            (count, F) float64 in [-1, 1].
        """
        while len(self._stock) < count:
            slope = self._rng.uniform(-1.0, 1.0, (self._BATCH, 1))
            ramp = slope * np.linspace(-1.0, 1.0, self._num_frames) if self._num_frames > 1 else 0.0
            period = (self._shortest, 2.0 * self._shortest + 4.0 * self._num_frames)
            waves = smooth_curves(self._rng, self._BATCH, self._num_frames, period)
            self._stock = np.concatenate([self._stock, ramp + (1.0 - np.abs(slope)) * waves])
        taken, self._stock = self._stock[:count], self._stock[count:]
        return taken

    def one(self) -> np.ndarray:
        """The next curve, (F,) in [-1, 1]."""
        curve: np.ndarray = self.take(1)[0]
        return curve


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
        span = np.ptp(path[axis])
        if span > high - low:
            path[axis] *= (high - low) / max(span, 1e-9)
        lowest = low - path[axis].min()
        path[axis] += rng.uniform(lowest, max(high - path[axis].max(), lowest))
    return path.T.copy()
