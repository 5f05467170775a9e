"""Things that move through a scene: sprites joined to bodies, with a pose in every frame."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ltr.dataset.rendering.deform import WaveField
from ltr.dataset.rendering.geometry import local_scale, transform


@dataclass(frozen=True, eq=False)
class Sprite:
    """A picture with a silhouette.

    Attributes:
        rgba: (h, w, 4) uint8; the colours are meaningful also outside the silhouette, the fourth channel
            is its alpha, zero on a border of at least one pixel.
        outline: (N, 2) float64, points of the silhouette's rim (pixel centres, x and y).
        inside: (P, 2) float64, a regular sample of the silhouette's pixels.
    """

    rgba: np.ndarray
    outline: np.ndarray
    inside: np.ndarray

    @property
    def alpha(self) -> np.ndarray:
        """(h, w) uint8."""
        return self.rgba[..., 3]

    def with_colours(self, rgb: np.ndarray) -> Sprite:
        """The same silhouette with another picture (h, w, 3)."""
        return Sprite(np.dstack([rgb, self.alpha]), self.outline, self.inside)


def make_sprite(rgb: np.ndarray, alpha: np.ndarray) -> Sprite:
    """A sprite from a picture (h, w, 3) and its alpha map (h, w), uint8, both at least 3 by 3 pixels.

    Where nothing is opaque (a silhouette that vanished when it was scaled down), all but the border becomes so.
    """
    solid = np.zeros_like(alpha)
    solid[1:-1, 1:-1] = alpha[1:-1, 1:-1] > 127
    # Spikes thinner than a pixel when drawn would belong to the box without being seen.
    square = np.ones((3, 3), np.uint8)
    opened = cv2.morphologyEx(solid, cv2.MORPH_OPEN, square)
    if opened.any():
        alpha = alpha * cv2.dilate(opened, square)
        solid &= (alpha > 127).astype(np.uint8)
    elif not solid.any():
        solid[1:-1, 1:-1] = 1
        alpha = 255 * solid
    rims, _ = cv2.findContours(solid, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    points: list[np.ndarray] = []
    for rim in rims:
        corners = cv2.approxPolyDP(rim, 0.7, True)[:, 0]
        points += [corners[:: max(1, len(corners) // 40)], rim[:: max(1, len(rim) // 32), 0]]
        # The extreme points decide the box: never thin them out.
        for axis in range(2):
            points += [rim[rim[:, 0, axis].argmin()], rim[rim[:, 0, axis].argmax()]]
    rows, columns = np.nonzero(solid)
    step = max(1, len(rows) // 32)
    inside = np.stack([columns[step // 2 :: step], rows[step // 2 :: step]], axis=1)
    return Sprite(np.dstack([rgb, alpha]), np.concatenate(points).astype(np.float64), inside.astype(np.float64))


@dataclass(frozen=True, eq=False)
class Part:
    """A sprite in its place on a body.

    Attributes:
        sprite: the picture.
        placing: (3, 3) sprite pixels to object coordinates, or (F, 3, 3) for a limb that swings.
    """

    sprite: Sprite
    placing: np.ndarray

    def placing_at(self, frame: int) -> np.ndarray:
        """(3, 3) sprite pixels to object coordinates in one frame."""
        return self.placing if self.placing.ndim == 2 else self.placing[frame]


@dataclass(frozen=True, eq=False)
class Actor:
    """A body of one or several parts, and its movement.

    Attributes:
        parts: drawn in this order.
        poses: (F, 3, 3) object coordinates (origin at the centre) to the frame.
        waves: non-rigid deformation in object coordinates, or None.
        roll: (F,) turn of the body about its upright axis in radians: the texture moves round as on a
            cylinder of half width `radius` while the silhouette stays; or None.
        radius: of that cylinder, in object pixels.
        gain: (F, 3) factors on the colours (the light that falls on this body).
        drawn: False for a part of the background itself, which moves with it.
        soft: Gaussian blur of the body alone, in frame pixels (out of the depth of field).
        shutter: share of the time between two frames that the shutter is open (motion blur).
    """

    parts: tuple[Part, ...]
    poses: np.ndarray
    waves: WaveField | None = None
    roll: np.ndarray | None = None
    radius: float = 1.0
    gain: np.ndarray | None = None
    drawn: bool = True
    soft: float = 0.0
    shutter: float = 0.0

    @property
    def largest_parts(self) -> tuple[Part, ...]:
        """The two largest parts; what the smaller ones hide is neglected."""
        return tuple(sorted(self.parts, key=lambda part: -part.sprite.rgba.size)[:2])

    def project(self, part: Part, points: np.ndarray, frames: np.ndarray) -> np.ndarray:
        """Points (N, 2) of a part's sprite in the given frames -> (len(frames), N, 2) frame pixels."""
        placing = part.placing[None] if part.placing.ndim == 2 else part.placing[frames]
        at_rest = np.broadcast_to(transform(placing, points), (len(frames), len(points), 2))
        bent = at_rest if self.waves is None else self.waves.forward(at_rest, frames)
        return transform(self.poses[frames], bent)

    def boxes(self, frames: np.ndarray) -> np.ndarray:
        """Bounding boxes of the whole silhouette -> (len(frames), 4) float64 `[x, y, w, h]` pixels, 0-based."""
        low = np.full((len(frames), 2), np.inf)
        high = np.full((len(frames), 2), -np.inf)
        for part in self.parts:
            placing = part.placing if part.placing.ndim == 2 else part.placing[0]
            # Rim points are pixel centres: the silhouette reaches half a sprite pixel further.
            reach = 0.5 * local_scale(self.poses[frames] @ placing)[:, None]
            rim = self.project(part, part.sprite.outline, frames)
            low = np.minimum(low, rim.min(axis=1) - reach)
            high = np.maximum(high, rim.max(axis=1) + reach)
        return np.concatenate([low + 0.5, high - low], axis=1)

    def inside_points(self, frames: np.ndarray) -> np.ndarray:
        """A sample of the silhouette's points in the given frames -> (len(frames), P, 2) frame pixels."""
        return np.concatenate([self.project(part, part.sprite.inside, frames) for part in self.parts], axis=1)

    def covers(self, points: np.ndarray, frames: np.ndarray) -> np.ndarray:
        """Which frame points (len(frames), P, 2) this body hides (deformation ignored) -> (len(frames), P) bool."""
        hidden = np.zeros(points.shape[:2], bool)
        for part in self.largest_parts:
            placing = part.placing if part.placing.ndim == 2 else part.placing[frames]
            back = np.linalg.inv(self.poses[frames] @ placing)
            pixel = np.rint(transform(back, points)).astype(np.int64)
            height, width = part.sprite.alpha.shape
            within = (pixel[..., 0] >= 0) & (pixel[..., 0] < width) & (pixel[..., 1] >= 0) & (pixel[..., 1] < height)
            pixel[~within] = 0
            hidden |= within & (part.sprite.alpha[pixel[..., 1], pixel[..., 0]] > 127)
        return hidden
