"""Non-rigid deformation: travelling waves that bend an object, invertible by construction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class WaveField:
    """Displacement field `d(p, t) = sum_k a_k sin(k_k . p + w_k t + f_k)` of object coordinates.

    `p + d(p, t)` is one-to-one because the sum of |a_k||k_k| is kept below one.

    Attributes:
        amplitude: (K, 2) pixels.
        wave: (K, 2) radians per pixel.
        rate: (K,) radians per frame.
        phase: (K,) radians.
    """

    amplitude: np.ndarray
    wave: np.ndarray
    rate: np.ndarray
    phase: np.ndarray

    def displacement(self, points: np.ndarray, frames: np.ndarray) -> np.ndarray:
        """Displacements of points (F, 2, N) at times (F,) -> (F, 2, N) pixels."""
        angles = self.wave @ points + (np.multiply.outer(frames, self.rate) + self.phase)[:, :, None]
        return self.amplitude.T @ np.sin(angles, out=angles)

    def forward(self, points: np.ndarray, frames: np.ndarray) -> np.ndarray:
        """Where points (F, 2, N) of the object at rest are at times (F,)."""
        return points + self.displacement(points, frames)

    def inverse(self, points: np.ndarray, frames: np.ndarray, iterations: int = 6) -> np.ndarray:
        """Which points of the object at rest are now at `points` (F, 2, N), by fixed-point iteration."""
        rest = points
        for _ in range(iterations):
            rest = points - self.displacement(rest, frames)
        return rest


def random_waves(rng: np.random.Generator, size: float, strength: float, terms: int = 3) -> WaveField:
    """Waves of about the length of an object.

    Args:
        rng: source of randomness.
        size: side of the object in pixels.
        strength: sum of |a||k|, in [0, 0.6]: how much neighbouring points are stretched.
        terms: number of waves.
    """
    length = size * rng.uniform(0.8, 2.5, terms)
    direction = rng.uniform(0.0, 2.0 * np.pi, terms)
    number = 2.0 * np.pi / length
    wave = number[:, None] * np.stack([np.cos(direction), np.sin(direction)], axis=1)
    push = rng.uniform(0.0, 2.0 * np.pi, terms)
    share = rng.dirichlet(np.ones(terms)) * strength / number
    amplitude = share[:, None] * np.stack([np.cos(push), np.sin(push)], axis=1)
    rate = rng.choice([-1.0, 1.0], terms) * 2.0 * np.pi / np.exp(rng.uniform(np.log(12.0), np.log(120.0), terms))
    return WaveField(amplitude, wave, rate, rng.uniform(0.0, 2.0 * np.pi, terms))
