"""Bodies with limbs: walking figures, and objects with swinging appendages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np

from ltr.dataset.rendering.actor import Part
from ltr.dataset.rendering.curves import TWO_PI, CurveBank
from ltr.dataset.rendering.shapes import capsule_outline, fill_outline, radial_mask, squared_radius
from ltr.dataset.rendering.sprite import Sprite, make_sprite

# Makes a patch (height, width, 3) uint8 of cloth.
Wardrobe = Callable[[int, int], np.ndarray]

_PAD = 2  # transparent pixels around a piece


def walking_figure(wear: Wardrobe, rng: np.random.Generator, height: float, num_frames: int) -> list[Part]:
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
    gait = np.sin(TWO_PI * np.arange(num_frames) / rng.uniform(12.0, 40.0) + rng.uniform(0.0, TWO_PI))
    slim, far = rng.uniform(0.75, 1.3), rng.uniform(0.6, 1.0)
    upper = wear(max(round(0.42 * height), 5), max(round(0.24 * slim * height), 5))
    lower = wear(max(round(0.56 * height), 5), max(round(0.15 * slim * height), 5)) if rng.uniform() < 0.8 else upper
    head = wear(max(round(0.16 * height), 4), max(round(0.12 * height), 4))
    top = -0.5 * height
    hip, shoulder = (0.0, top + 0.5 * height), (0.0, top + 0.2 * height)
    leg = _limb(lower, 0.44 * height, 0.15 * slim * height, 0.08 * slim * height, hip, stride * gait)
    arm = _limb(upper, 0.33 * height, 0.09 * slim * height, 0.06 * slim * height, shoulder, -0.8 * stride * gait)
    trunk = _piece(upper, radial_mask(upper.shape[0], upper.shape[1], squared_radius(rng.uniform(2.5, 5.0))))
    skull = _piece(head, radial_mask(head.shape[0], head.shape[1], np.ones(24)))
    return [
        _far_side(arm, far),
        _far_side(leg, far),
        leg,
        Part(trunk, (-0.5 * upper.shape[1] - _PAD, top + 0.13 * height - _PAD)),
        Part(skull, (-0.5 * head.shape[1] - _PAD, top - _PAD)),
        arm,
    ]


def appendages(wear: Wardrobe, rng: np.random.Generator, curves: CurveBank, width: float, height: float) -> list[Part]:
    """One to three limbs that swing on an object of the given size in pixels (origin at its centre)."""
    parts: list[Part] = []
    for swing in curves.take(int(rng.integers(1, 4))):
        # Thin limbs vanish when they are drawn small, and the box would still hold them.
        length, wide = rng.uniform(0.3, 0.7) * height, max(rng.uniform(0.15, 0.3) * width, 6.0)
        cloth = wear(max(int(length + wide), 5), int(wide))
        pivot = (float(rng.uniform(-0.35, 0.35) * width), float(rng.uniform(-0.3, 0.4) * height))
        angle = rng.uniform(-np.pi, np.pi) + rng.uniform(0.2, 1.0) * swing
        parts.append(_limb(cloth, length, wide, wide * rng.uniform(0.6, 1.0), pivot, angle))
    return parts


def _piece(rgb: np.ndarray, mask: np.ndarray) -> Sprite:
    """A sprite of a picture (h, w, 3) and its mask, with a transparent border."""
    return make_sprite(
        cv2.copyMakeBorder(rgb, _PAD, _PAD, _PAD, _PAD, cv2.BORDER_REPLICATE),
        cv2.copyMakeBorder(mask, _PAD, _PAD, _PAD, _PAD, cv2.BORDER_CONSTANT, value=0),
    )


def _limb(
    cloth: np.ndarray, length: float, wide: float, narrow: float, pivot: tuple[float, float], angle: np.ndarray
) -> Part:
    """A tapered limb hanging from `pivot`, swinging by `angle` (F,) radians."""
    outline = capsule_outline(length, max(wide, 3.0), max(narrow, 2.5))
    low = outline.min(axis=0)
    width, height = np.maximum(np.round(outline.max(axis=0) - low).astype(int), 2).tolist()
    rgb = cloth[:height, :width]
    if rgb.shape[:2] != (height, width):
        rgb = cv2.resize(cloth, (width, height), interpolation=cv2.INTER_AREA)
    sprite = _piece(rgb, fill_outline(height, width, outline))
    return Part(sprite, (pivot[0] + float(low[0]) - _PAD, pivot[1] + float(low[1]) - _PAD), angle, pivot)


def _far_side(part: Part, light: float) -> Part:
    """The same limb on the other side of the body: in shade, swinging the other way."""
    rgb = cv2.convertScaleAbs(part.sprite.rgba[..., :3], alpha=light)
    return replace(part, sprite=part.sprite.with_colours(rgb), swing=None if part.swing is None else -part.swing)
