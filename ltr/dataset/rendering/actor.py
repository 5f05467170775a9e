"""Things that move through a scene: sprites joined to bodies, with a pose in every frame."""

from __future__ import annotations

from dataclasses import dataclass

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
            low = np.minimum(low, rim.min(axis=1))
            high = np.maximum(high, rim.max(axis=1))
        return np.concatenate([low - reach + 0.5, high - low + 2.0 * reach], axis=1)

    def inside_points(self, frames: np.ndarray) -> np.ndarray:
        """A sample of the silhouette's points in the given frames -> (len(frames), P, 2) frame pixels."""
        poses, thin = self.poses.at(frames), len(self.parts)
        points = [self._project(poses, part, part.sprite.inside[thin // 2 :: thin], frames) for part in self.parts]
        return np.concatenate(points, axis=1)

    def covers(self, points: np.ndarray, frames: np.ndarray) -> np.ndarray:
        """Which frame points (len(frames), P, 2) this body hides -> (len(frames), P) bool.

        Approximate: without deformation and swing, and only by its two largest parts.
        """
        back = np.linalg.inv(self.poses.at(frames))
        at_rest = transform(back, points)
        hidden = np.zeros(points.shape[:2], bool)
        for part in sorted(self.parts, key=lambda part: -part.sprite.rgba.size)[:2]:
            pixel = np.rint(at_rest - part.place).astype(np.int64)
            height, width = part.sprite.alpha.shape
            within = (pixel >= 0).all(axis=2) & (pixel < (width, height)).all(axis=2)
            pixel[~within] = 0
            hidden |= within & (part.sprite.alpha[pixel[..., 1], pixel[..., 0]] > 127)
        return hidden

    def outline(self, part: Part, frame: int) -> np.ndarray:
        """The rim of one part in one frame -> (N, 2) frame pixels."""
        frames = np.array([frame])
        rim: np.ndarray = self._project(self.poses.at(frames), part, part.sprite.outline, frames)[0]
        return rim

    def _project(self, poses: np.ndarray, part: Part, points: np.ndarray, frames: np.ndarray) -> np.ndarray:
        """Points (N, 2) of a part's sprite in the given frames -> (len(frames), N, 2) frame pixels."""
        if self.waves is None:
            return transform(poses @ part.placing(frames), points)
        return transform(poses, self.waves.forward(transform(part.placing(frames), points), frames))
