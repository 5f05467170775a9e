"""Plane transforms of many frames at once: arrays (F, 3, 3) acting on points (2, N), rows x and y, in pixels.

A pixel's centre has integer coordinates here (OpenCV's convention); boxes count pixel i as [i, i + 1).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, sin

import numpy as np


@dataclass(frozen=True, eq=False)
class Poses:
    """Views of a flat object that turns in space, in each of F frames.

    Attributes:
        centre: (F, 2) where the object's origin is seen, pixels.
        scale: (F, 2) scale along the object's own axes.
        angle: (F,) rotation in the image plane, radians.
        yaw: (F,) rotation about the object's upright axis, radians.
        pitch: (F,) rotation about its level axis, radians.
        focal: distance of the viewer in scaled object pixels: the smaller, the stronger the perspective.
        origin: (x, y) of the origin in the object's own coordinates.
    """

    centre: np.ndarray
    scale: np.ndarray
    angle: np.ndarray
    yaw: np.ndarray
    pitch: np.ndarray
    focal: float
    origin: tuple[float, float] = (0.0, 0.0)

    def __len__(self) -> int:
        return len(self.centre)

    def matrix(self, frame: int) -> np.ndarray:
        """The homography of one frame, (3, 3): as `at`, in plain numbers, which for one frame is ten times faster."""
        yaw, pitch, angle = float(self.yaw[frame]), float(self.pitch[frame]), float(self.angle[frame])
        (scale_x, scale_y), (x, y) = self.scale[frame].tolist(), self.centre[frame].tolist()
        along, across = cos(yaw) * scale_x, sin(yaw) * sin(pitch) * scale_y
        down, cos_a, sin_a = cos(pitch) * scale_y, cos(angle), sin(angle)
        far_x, far_y = -sin(yaw) * scale_x / self.focal, cos(yaw) * sin(pitch) * scale_y / self.focal
        top = cos_a * along + x * far_x, cos_a * across - sin_a * down + x * far_y
        mid = sin_a * along + y * far_x, sin_a * across + cos_a * down + y * far_y
        rows = []
        for (first, second), last in ((top, x), (mid, y), ((far_x, far_y), 1.0)):
            rows.append((first, second, last - first * self.origin[0] - second * self.origin[1]))
        return np.array(rows)

    def at(self, frames: np.ndarray) -> np.ndarray:
        """Homographies from object coordinates to the given frames -> (len(frames), 3, 3).

        With R = Rz(angle) Ry(yaw) Rx(pitch), a point of the plane goes to (R_x, R_y) / (1 + R_z / focal).
        """
        cos_y, sin_y = np.cos(self.yaw[frames]), np.sin(self.yaw[frames])
        cos_p, sin_p = np.cos(self.pitch[frames]), np.sin(self.pitch[frames])
        cos_a, sin_a = np.cos(self.angle[frames]), np.sin(self.angle[frames])
        scale_x, scale_y = self.scale[frames].T
        out = np.empty((len(cos_y), 3, 3))
        along, across, down = cos_y * scale_x, sin_y * sin_p * scale_y, cos_p * scale_y
        out[:, 0, 0], out[:, 0, 1] = cos_a * along, cos_a * across - sin_a * down
        out[:, 1, 0], out[:, 1, 1] = sin_a * along, sin_a * across + cos_a * down
        out[:, 2, 0], out[:, 2, 1] = -sin_y * scale_x / self.focal, cos_y * sin_p * scale_y / self.focal
        out[:, :2, :2] += self.centre[frames][:, :, None] * out[:, 2:, :2]
        out[:, :2, 2], out[:, 2, 2] = self.centre[frames], 1.0
        if self.origin != (0.0, 0.0):
            out[:, :, 2] -= out[:, :, :2] @ np.array(self.origin)
        return out


def swings(angle: np.ndarray, pivot: tuple[float, float]) -> np.ndarray:
    """(F,) rotations in radians about a fixed point -> (F, 3, 3)."""
    cos_a, sin_a = np.cos(angle), np.sin(angle)
    x, y = pivot
    out = np.zeros((len(angle), 3, 3))
    out[:, 0, 0], out[:, 0, 1], out[:, 0, 2] = cos_a, -sin_a, x - cos_a * x + sin_a * y
    out[:, 1, 0], out[:, 1, 1], out[:, 1, 2] = sin_a, cos_a, y - sin_a * x - cos_a * y
    out[:, 2, 2] = 1.0
    return out


def shift(offset: tuple[float, float]) -> np.ndarray:
    """The translation by (x, y) -> (3, 3)."""
    return np.array([[1.0, 0.0, offset[0]], [0.0, 1.0, offset[1]], [0.0, 0.0, 1.0]])


def transform(matrices: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Apply homographies (..., 3, 3) to points (2, N) or (..., 2, N) -> (..., 2, N)."""
    mapped = matrices[..., :2] @ points
    mapped += matrices[..., 2:]
    # Points behind the viewer do not occur with the poses drawn here; the bound keeps the result finite.
    out: np.ndarray = mapped[..., :2, :] / np.maximum(mapped[..., 2:, :], 1e-3)
    return out


def local_scale(matrices: np.ndarray) -> np.ndarray:
    """Magnification at the origin of each of (F, 3, 3) homographies -> (F,)."""
    corner = matrices[:, 2, 2][:, None, None]
    jacobian = (matrices[:, :2, :2] - matrices[:, :2, 2:] * matrices[:, 2:, :2] / corner) / corner
    area = jacobian[:, 0, 0] * jacobian[:, 1, 1] - jacobian[:, 0, 1] * jacobian[:, 1, 0]
    scale: np.ndarray = np.sqrt(np.abs(area))
    return scale
