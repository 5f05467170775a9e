"""What a scene is made of: the one thing in which the generated data sets differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np

_LEVELS = np.arange(256.0)[:, None]


@dataclass(frozen=True, eq=False)
class Cutout:
    """An object cut from its picture.

    Attributes:
        rgb: (h, w, 3) uint8, with some of the surroundings.
        alpha: (h, w) uint8, zero on a border of at least one pixel.
        source: which picture it came from (the material's own numbering).
    """

    rgb: np.ndarray
    alpha: np.ndarray
    source: int


class Material(Protocol):
    """Supplies pictures; every draw uses the given generator only."""

    def background(self, rng: np.random.Generator) -> tuple[np.ndarray, int]:
        """A picture (H, W, 3) uint8 RGB for the background, and its number."""

    def cutout(self, rng: np.random.Generator, side: float, avoid: int) -> Cutout:
        """An object whose silhouette has a bounding box of about `side`² pixels, not from picture `avoid`."""

    def sibling(self, rng: np.random.Generator, cutout: Cutout, side: float) -> Cutout:
        """Another object of the same kind as `cutout`."""

    def wardrobe(self, rng: np.random.Generator) -> int:
        """Number of a picture to take textures from; a scene uses few, as reading pictures costs time."""

    def texture(self, rng: np.random.Generator, source: int, height: int, width: int) -> np.ndarray:
        """A patch (height, width, 3) uint8 RGB from picture `source`, such as cloth."""

    def region(self, rng: np.random.Generator, source: int, side: float) -> np.ndarray:
        """An alpha map (H, W) uint8 of something in background `source`, about `side` pixels wide."""


@dataclass(frozen=True, eq=False)
class Tone:
    """Colours of some surroundings, and how far to approach them.

    Attributes:
        mean: (3, 1) of R, G, B.
        std: (3, 1) standard deviations.
        share: 0 (not at all) to 1 (same mean and standard deviation).
    """

    mean: np.ndarray
    std: np.ndarray
    share: float


def blend_in(rgb: np.ndarray, alpha: np.ndarray | None, tone: Tone) -> np.ndarray:
    """Move the colours of an object towards those of its surroundings: camouflage, and the same light.

    Args:
        rgb: (h, w, 3) uint8.
        alpha: (h, w) uint8: the object's own mean and spread are taken where this is set; None: everywhere.
        tone: of the surroundings.

    Returns:
        (h, w, 3) uint8.
    """
    own_mean, own_std = cv2.meanStdDev(rgb, mask=alpha)
    factor = np.clip(tone.std / np.maximum(own_std, 4.0), 0.3, 2.0)
    matched = (_LEVELS - own_mean.T) * factor.T + tone.mean.T
    table = np.clip((1.0 - tone.share) * _LEVELS + tone.share * matched + 0.5, 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(rgb, table[None]))


def recolour(rgb: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    """The same picture in other colours: hue, saturation and brightness moved by up to about `strength` (0..1)."""
    hsv = cv2.cvtColor(rgb, cv2.COLOR_RGB2HSV)
    level = np.arange(256)
    hue = (level + round(90.0 * strength * rng.uniform(-1.0, 1.0))) % 180
    saturation = np.clip(level * np.exp(strength * rng.normal(0.0, 0.7)), 0, 255)
    value = np.clip(level * np.exp(strength * rng.normal(0.0, 0.4)) + 30.0 * strength * rng.normal(), 0, 255)
    table = np.stack([hue, saturation, value], axis=1).astype(np.uint8)[None]
    return np.asarray(cv2.cvtColor(cv2.LUT(hsv, table), cv2.COLOR_HSV2RGB))
