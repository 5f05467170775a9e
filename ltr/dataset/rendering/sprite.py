"""Pictures with a silhouette."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

_SQUARE = np.ones((3, 3), np.uint8)


@dataclass(frozen=True, eq=False)
class Sprite:
    """A picture with a silhouette.

    Attributes:
        rgba: (h, w, 4) uint8; the colours are meaningful also outside the silhouette, the fourth channel
            is its alpha, zero on a border of at least one pixel.
        outline: (2, N) float64, x and y of the silhouette's rim (pixel centres).
        inside: (2, P) float64, a regular sample of the silhouette's pixels.
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
        return Sprite(cv2.merge([rgb, self.alpha]), self.outline, self.inside)


def make_sprite(rgb: np.ndarray, alpha: np.ndarray) -> Sprite:
    """A sprite from a picture (h, w, 3) and its alpha map (h, w), uint8, both at least 3 by 3 pixels.

    Where nothing is opaque (a silhouette that vanished when it was scaled down), all but the border becomes so.
    """
    solid = np.zeros_like(alpha)
    solid[1:-1, 1:-1] = alpha[1:-1, 1:-1] > 127
    # Spikes thinner than a pixel when drawn would belong to the box without being seen.
    opened = cv2.morphologyEx(solid, cv2.MORPH_OPEN, _SQUARE)
    if opened.any():
        alpha = alpha * cv2.dilate(opened, _SQUARE)
        solid &= (alpha > 127).astype(np.uint8)
    elif not solid.any():
        solid[1:-1, 1:-1] = 1
        alpha = 255 * solid
    rims, _ = cv2.findContours(solid, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    flat = np.flatnonzero(solid)
    step = max(1, len(flat) // 32)
    inside = np.stack(np.divmod(flat[step // 2 :: step], solid.shape[1])[::-1])
    outline = np.concatenate([_thinned(rim) for rim in rims])
    return Sprite(cv2.merge([rgb, alpha]), outline.T.astype(np.float64, order="C"), inside.astype(np.float64))


def _thinned(rim: np.ndarray) -> np.ndarray:
    """The points of a rim (N, 1, 2) that decide its bounding box, however it is turned or bent -> (M, 2)."""
    points = rim[:, 0]
    if len(points) <= 64:
        return points
    # Under a plane transform the extremes are on the hull; a bent edge needs points in between.
    hull = cv2.convexHull(rim)[:, 0]
    return np.concatenate([hull, points[:: len(points) // 32]])
