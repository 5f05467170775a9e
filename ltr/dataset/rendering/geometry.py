"""Plane transforms of a whole sequence at once: arrays (F, 3, 3) acting on points `(x, y)` in pixels.

A pixel's centre has integer coordinates here (OpenCV's convention); boxes count pixel i as [i, i + 1).
"""

from __future__ import annotations

import numpy as np


def translations(offset_xy: np.ndarray) -> np.ndarray:
    """(F, 2) offsets in pixels -> (F, 3, 3)."""
    out = np.tile(np.eye(3), (len(offset_xy), 1, 1))
    out[:, :2, 2] = offset_xy
    return out


def poses(
    centre_xy: np.ndarray,
    scale_xy: np.ndarray,
    angle: np.ndarray,
    yaw: np.ndarray,
    pitch: np.ndarray,
    focal: float,
) -> np.ndarray:
    """Views of a flat object turning in space: object coordinates (origin at its centre) to the frame.

    Args:
        centre_xy: (F, 2) where the object's centre is seen, pixels.
        scale_xy: (F, 2) scale along the object's own axes.
        angle: (F,) rotation in the image plane, radians.
        yaw: (F,) rotation about the vertical axis, radians.
        pitch: (F,) rotation about the horizontal axis, radians.
        focal: distance of the viewer in object pixels: the smaller, the stronger the perspective.

    Returns:
        (F, 3, 3) homographies.
    """
    cos_y, sin_y, cos_p, sin_p = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    zero = np.zeros_like(angle)
    tilt = np.stack(
        [
            np.stack([cos_y, sin_y * sin_p, zero], -1),
            np.stack([zero, cos_p, zero], -1),
            np.stack([-sin_y / focal, cos_y * sin_p / focal, np.ones_like(angle)], -1),
        ],
        axis=1,
    )
    cos_a, sin_a = np.cos(angle), np.sin(angle)
    turn = np.tile(np.eye(3), (len(angle), 1, 1))
    turn[:, 0, 0], turn[:, 0, 1] = cos_a, -sin_a
    turn[:, 1, 0], turn[:, 1, 1] = sin_a, cos_a
    scale = np.tile(np.eye(3), (len(angle), 1, 1))
    scale[:, 0, 0], scale[:, 1, 1] = scale_xy[:, 0], scale_xy[:, 1]
    return translations(centre_xy) @ turn @ tilt @ scale


def swings(angle: np.ndarray, pivot_xy: tuple[float, float]) -> np.ndarray:
    """(F,) rotations in radians about a fixed point -> (F, 3, 3)."""
    cos_a, sin_a = np.cos(angle), np.sin(angle)
    x, y = pivot_xy
    out = np.tile(np.eye(3), (len(angle), 1, 1))
    out[:, 0, 0], out[:, 0, 1], out[:, 0, 2] = cos_a, -sin_a, x - cos_a * x + sin_a * y
    out[:, 1, 0], out[:, 1, 1], out[:, 1, 2] = sin_a, cos_a, y - sin_a * x - cos_a * y
    return out


def transform(matrices: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Apply (F, 3, 3) homographies to points (N, 2) or (F, N, 2) -> (F, N, 2)."""
    linear = points @ np.swapaxes(matrices[:, :2, :2], 1, 2) + matrices[:, None, :2, 2]
    depth = points @ matrices[:, 2, :2, None] + matrices[:, 2, 2][:, None, None]
    return linear / np.maximum(depth, 1e-3)


def local_scale(matrices: np.ndarray) -> np.ndarray:
    """Magnification at the origin of each of (F, 3, 3) homographies -> (F,)."""
    corner = matrices[:, 2, 2]
    jacobian = (matrices[:, :2, :2] - matrices[:, :2, 2:] * matrices[:, 2:, :2] / corner[:, None, None]) / corner[
        :, None, None
    ]
    return np.sqrt(np.abs(np.linalg.det(jacobian)))
