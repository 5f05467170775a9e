"""Things that move through a scene: sprites joined to bodies, with a pose in every frame."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, sin

import numpy as np

from ltr.dataset.rendering.deform import WaveField
from ltr.dataset.rendering.geometry import Poses, local_scale, shift, swings, transform
from ltr.dataset.rendering.sprite import Sprite


@dataclass(frozen=True, eq=False)
class Part:
    """A sprite in its place on a body.

    Attributes:
        sprite: the picture.
        place: (x, y) of the sprite's first pixel in object coordinates.
        swing: (F,) rotation about `pivot` in radians, or None.
        pivot: (x, y) in object coordinates.
    """

    sprite: Sprite
    place: tuple[float, float]
    swing: np.ndarray | None = None
    pivot: tuple[float, float] = (0.0, 0.0)

    def placing(self, frames: np.ndarray) -> np.ndarray:
        """Sprite pixels to object coordinates -> (len(frames), 3, 3)."""
        rest = shift(self.place)[None]
        return rest.repeat(len(frames), axis=0) if self.swing is None else swings(self.swing[frames], self.pivot) @ rest

    def placing_in(self, frame: int) -> np.ndarray:
        """The same in one frame -> (3, 3)."""
        x, y = self.place
        if self.swing is None:
            return np.array(((1.0, 0.0, x), (0.0, 1.0, y), (0.0, 0.0, 1.0)))
        angle, (pivot_x, pivot_y) = float(self.swing[frame]), self.pivot
        c, s, x, y = cos(angle), sin(angle), x - pivot_x, y - pivot_y
        return np.array(((c, -s, c * x - s * y + pivot_x), (s, c, s * x + c * y + pivot_y), (0.0, 0.0, 1.0)))


@dataclass(frozen=True, eq=False)
class Actor:
    """A body of one or several parts, and its movement.

    Attributes:
        parts: drawn in this order.
        poses: object coordinates to the frame.
        waves: non-rigid deformation in object coordinates, or None.
        roll: (F,) turn of the body about its upright axis in radians: the texture moves round as on a
            cylinder of half width `radius` while the silhouette stays; or None.
        radius: of that cylinder, in object pixels.
        gain: (F,) factors on the colours (the light that falls on this body), or None.
        drawn: False for a part of the background itself, which moves with it.
        soft: Gaussian blur of the body alone, in frame pixels (out of the depth of field).
        shutter: share of the time between two frames that the shutter is open (motion blur).
    """

    parts: tuple[Part, ...]
    poses: Poses
    waves: WaveField | None = None
    roll: np.ndarray | None = None
    radius: float = 1.0
    gain: np.ndarray | None = None
    drawn: bool = True
    soft: float = 0.0
    shutter: float = 0.0

    def boxes(self, frames: np.ndarray) -> np.ndarray:
        """Bounding boxes of the whole silhouette -> (len(frames), 4) float64 `[x, y, w, h]` pixels, 0-based."""
        poses = self.poses.at(frames)
        low = np.full((len(frames), 2), np.inf)
        high = np.full((len(frames), 2), -np.inf)
        # Rim points are pixel centres: the silhouette reaches half a sprite pixel further.
        reach = 0.5 * local_scale(poses)[:, None]
        for part in self.parts:
            rim = self._project(poses, part, part.sprite.outline, frames)
            low = np.minimum(low, rim.min(axis=2))
            high = np.maximum(high, rim.max(axis=2))
        return np.concatenate([low - reach + 0.5, high - low + 2.0 * reach], axis=1)

    def inside_points(self, frames: np.ndarray) -> np.ndarray:
        """A sample of the silhouette's points in the given frames -> (len(frames), 2, P) frame pixels."""
        poses, thin = self.poses.at(frames), len(self.parts)
        points = [self._project(poses, part, part.sprite.inside[:, thin // 2 :: thin], frames) for part in self.parts]
        return np.concatenate(points, axis=2)

    def covers(self, points: np.ndarray, frames: np.ndarray) -> np.ndarray:
        """Which frame points (len(frames), 2, P) this body hides -> (len(frames), P) bool.

        Approximate: without deformation and swing, and only by its two largest parts.
        """
        at_rest = transform(np.linalg.inv(self.poses.at(frames)), points)
        hidden = np.zeros((len(frames), points.shape[2]), bool)
        for part in sorted(self.parts, key=lambda part: -part.sprite.rgba.size)[:2]:
            x = np.rint(at_rest[:, 0] - part.place[0]).astype(np.int64)
            y = np.rint(at_rest[:, 1] - part.place[1]).astype(np.int64)
            alpha = part.sprite.alpha
            within = (x >= 0) & (x < alpha.shape[1]) & (y >= 0) & (y < alpha.shape[0])
            hidden[within] |= alpha[y[within], x[within]] > 127
        return hidden

    def _project(self, poses: np.ndarray, part: Part, points: np.ndarray, frames: np.ndarray) -> np.ndarray:
        """Points (2, N) of a part's sprite in the given frames -> (len(frames), 2, N) frame pixels."""
        if self.waves is None:
            return transform(poses @ part.placing(frames), points)
        return transform(poses, self.waves.forward(transform(part.placing(frames), points), frames))

    def rim(self, part: Part, frame: int) -> np.ndarray:
        """The rim of one part in one frame -> (2, N) frame pixels."""
        matrix = self.poses.matrix(frame)
        if self.waves is None:
            return transform(matrix @ part.placing_in(frame), part.sprite.outline)
        at_rest = transform(part.placing_in(frame), part.sprite.outline)[None]
        return transform(matrix, self.waves.forward(at_rest, np.array([frame]))[0])
