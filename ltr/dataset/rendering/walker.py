"""Bodies with limbs: walking figures, and objects with swinging appendages."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ltr.dataset.rendering.actor import Part, Sprite, make_sprite
from ltr.dataset.rendering.curves import TWO_PI, smooth_curves
from ltr.dataset.rendering.geometry import swings
from ltr.dataset.rendering.shapes import capsule_outline, fill_outline, radial_mask

_PAD = 2

# Makes a patch (height, width, 3) uint8 of cloth.
Wardrobe = Callable[[int, int], np.ndarray]


def _piece(rgb: np.ndarray, mask: np.ndarray) -> Sprite:
    """A sprite of a picture (h, w, 3) and its mask, with a transparent border."""
    pad = ((_PAD, _PAD), (_PAD, _PAD))
    return make_sprite(np.pad(rgb, (*pad, (0, 0)), mode="edge"), np.pad(mask, pad))


def _placed(sprite: Sprite, left: float, top: float, swing: np.ndarray | None = None) -> list[Part]:
    """The part whose unpadded picture has its top-left pixel at (left, top) of the object."""
    rest = np.eye(3)
    rest[:2, 2] = left - _PAD, top - _PAD
    return [Part(sprite, rest if swing is None else swing @ rest)]


def walker_parts(
    wear: Wardrobe, rng: np.random.Generator, height: float, num_frames: int
) -> list[Part]:
    """A walking figure in clothes of random texture.

    Args:
        wear: supplies the cloth.
        rng: source of randomness.
        height: of the figure in object pixels.
        num_frames: F.

    Returns:
        Its parts in drawing order, in object coordinates with the origin at its middle.
    """
    stride = rng.uniform(0.05, 0.5)
    gait = TWO_PI * np.arange(num_frames) / rng.uniform(12.0, 40.0) + rng.uniform(0.0, TWO_PI)
    slim = rng.uniform(0.75, 1.3)
    trunk_w, trunk_h = 0.24 * slim * height, 0.42 * height
    upper = wear(max(int(trunk_h), 4), max(int(trunk_w), 4))
    lower_size = (max(int(0.48 * height), 4), max(int(0.13 * slim * height), 3))
    lower = wear(*lower_size) if rng.uniform() < 0.8 else _fit(upper, *lower_size)
    skin = wear(max(int(0.16 * height), 4), max(int(0.12 * height), 4))
    top = -0.5 * height
    hip = (0.0, top + 0.5 * height)
    shoulder = (0.0, top + 0.2 * height)
    far = int(rng.integers(60, 100))
    parts: list[Part] = []
    legs = [_limb(lower, 0.44 * height, 0.15 * slim * height, 0.08 * slim * height, hip, stride * np.sin(gait + lag))
            for lag in (0.0, np.pi)]  # fmt: skip
    arms = [_limb(upper, 0.33 * height, 0.09 * slim * height, 0.06 * slim * height, shoulder,
                  0.8 * stride * np.sin(gait + lag)) for lag in (np.pi, 0.0)]  # fmt: skip
    parts += _darker(arms[0], far) + _darker(legs[0], far) + legs[1]
    trunk = radial_mask(upper.shape[0], upper.shape[1], _trunk_radius(rng))
    parts += _placed(_piece(upper, trunk), -0.5 * upper.shape[1], top + 0.13 * height)
    parts += _placed(_piece(skin, radial_mask(skin.shape[0], skin.shape[1], np.ones(24))), -0.5 * skin.shape[1], top)
    return parts + arms[1]


def _trunk_radius(rng: np.random.Generator) -> np.ndarray:
    """Radii of a rounded, rather square outline."""
    angles = np.linspace(0.0, TWO_PI, 32, endpoint=False)
    power = rng.uniform(2.5, 5.0)
    radius: np.ndarray = (np.abs(np.cos(angles)) ** power + np.abs(np.sin(angles)) ** power) ** (-1.0 / power)
    return radius


def _fit(rgb: np.ndarray, height: int, width: int) -> np.ndarray:
    """Repeat or cut a patch to (height, width, 3)."""
    return np.take(np.take(rgb, np.arange(height), 0, mode="wrap"), np.arange(width), 1, mode="wrap")


def _limb(
    cloth: np.ndarray, length: float, wide: float, narrow: float, pivot: tuple[float, float], angle: np.ndarray
) -> list[Part]:
    """A tapered limb hanging from `pivot`, swinging by `angle` (F,) radians."""
    outline = capsule_outline(length, max(wide, 3.0), max(narrow, 2.5))  # thinner ones vanish when drawn
    low, high = outline.min(axis=0), outline.max(axis=0)
    size = np.maximum(np.round(high - low).astype(int), 2)
    mask = fill_outline(int(size[1]), int(size[0]), outline)
    sprite = _piece(_fit(cloth, int(size[1]), int(size[0])), mask)
    return _placed(sprite, pivot[0] + low[0], pivot[1] + low[1], swings(angle, pivot))


def _darker(parts: list[Part], percent: int) -> list[Part]:
    """The parts as on the side away from the light."""
    out = []
    for part in parts:
        rgb = (part.sprite.rgba[..., :3].astype(np.uint16) * percent // 100).astype(np.uint8)
        out.append(Part(part.sprite.with_colours(rgb), part.placing))
    return out


def appendages(
    wear: Wardrobe, rng: np.random.Generator, width: float, height: float, num_frames: int
) -> list[Part]:
    """One to three limbs that swing on an object of the given size (origin at its centre)."""
    parts: list[Part] = []
    count = int(rng.integers(1, 4))
    for swing in smooth_curves(rng, count, num_frames, (15.0, 80.0)):
        length, wide = rng.uniform(0.3, 0.7) * height, max(rng.uniform(0.15, 0.3) * width, 6.0)
        cloth = wear(max(int(length + wide), 4), max(int(wide), 4))
        pivot = (float(rng.uniform(-0.35, 0.35) * width), float(rng.uniform(-0.3, 0.4) * height))
        rest = rng.uniform(-np.pi, np.pi)
        parts += _limb(cloth, length, wide, wide * rng.uniform(0.6, 1.0), pivot, rest + rng.uniform(0.1, 0.6) * swing)
    return parts


