"""Makes the actors of one scene: how they turn, bend, change in size and are lit along a given path."""

from __future__ import annotations

import cv2
import numpy as np

from ltr.dataset.rendering.actor import Actor, Part
from ltr.dataset.rendering.curves import CurveBank, smooth_curves
from ltr.dataset.rendering.deform import random_waves
from ltr.dataset.rendering.difficulty import Difficulty
from ltr.dataset.rendering.geometry import Poses
from ltr.dataset.rendering.limbs import appendages, walking_figure
from ltr.dataset.rendering.material import Cutout, Material, Tone, blend_in, recolour
from ltr.dataset.rendering.sprite import make_sprite

SHARP = 1.15  # sprites are prepared a little larger than they are seen
_CLOTHES = 2  # pictures per scene that textures are taken from


class Cast:
    """Makes actors from a material.

    Args:
        material: supplies the pictures.
        rng: of this sequence.
        curves: slow curves of this sequence.
        shake: (F, 2) movement of the camera that every actor shares, pixels.
        level: settings.
    """

    def __init__(
        self, material: Material, rng: np.random.Generator, curves: CurveBank, shake: np.ndarray, level: Difficulty
    ) -> None:
        self._material, self._rng, self._curves, self._shake, self._level = material, rng, curves, shake, level
        self._clothes = [material.wardrobe(rng) for _ in range(_CLOTHES)]

    def figure(self, height: float, path: np.ndarray, tone: Tone | None, soft: float) -> Actor:
        """A walking figure.

        Args:
            height: mean height in pixels.
            path: (F, 2) of its middle, pixels.
            tone: colours to come close to, None to keep its own.
            soft: blur in pixels.
        """
        rng, level, num_frames = self._rng, self._level, len(path)

        def wear(rows: int, columns: int) -> np.ndarray:
            cloth = self._cloth(rows, columns)
            return cloth if tone is None else blend_in(cloth, None, tone)

        parts = walking_figure(wear, rng, SHARP * height, num_frames)
        lean, grow, width = self._curves.take(3)
        grow = 0.7 * np.log1p(level.scale_change) * rng.uniform() * grow
        bob = 0.012 * height * rng.uniform() * smooth_curves(rng, 1, num_frames, (6.0, 12.0))[0]
        still = np.zeros(num_frames)
        poses = Poses(
            centre=path + self._shake + np.stack([still, bob], axis=1),
            scale=np.exp(np.stack([grow + 0.15 * width, grow], axis=1)) / SHARP,
            angle=0.08 * lean + rng.normal(0.0, 0.03),
            yaw=still,
            pitch=still,
            focal=10.0 * height,
        )
        return Actor(tuple(parts), poses, gain=self._light(), soft=soft, shutter=self._shutter())

    def thing(self, cutout: Cutout, side: float, path: np.ndarray, tone: Tone | None, soft: float) -> Actor:
        """A cut-out that turns in the plane and in space, bends, and changes in size.

        Args:
            cutout: its picture.
            side: mean sqrt(w h) in pixels.
            path: (F, 2) of its middle, pixels.
            tone: colours to come close to, None to keep its own.
            soft: blur in pixels.
        """
        rng, level = self._rng, self._level
        left, top, width, height = cv2.boundingRect((cutout.alpha > 127).astype(np.uint8))
        width, height = max(width, 3), max(height, 3)
        rgb = cutout.rgb if tone is None else blend_in(cutout.rgb, cutout.alpha, tone)
        middle = (-left - 0.5 * (width - 1), -top - 0.5 * (height - 1))
        parts = [Part(make_sprite(rgb, cutout.alpha), middle)]
        if rng.uniform() < 0.3 * level.deformation and min(width, height) >= 30:
            parts = appendages(self._cloth, rng, self._curves, width, height) + parts
        grow, aspect, yaw, pitch, turn = self._curves.take(5)
        grow = np.log1p(level.scale_change) * rng.uniform() * grow
        aspect = 0.5 * level.scale_change * rng.uniform() * aspect
        zoom = side / np.sqrt(width * height)
        tilt = level.turn * rng.choice([0.2, 0.8], 2)
        poses = Poses(
            centre=path + self._shake,
            scale=zoom * np.exp(np.stack([grow + aspect, grow - aspect], axis=1)),
            angle=self._spin(),
            yaw=np.clip(tilt[0] * yaw, -1.1, 1.1),
            pitch=np.clip(tilt[1] * pitch, -1.1, 1.1),
            focal=2.5 * zoom * max(width, height),
        )
        waves = None
        if rng.uniform() < 0.3 + 0.5 * level.deformation:
            waves = random_waves(rng, np.sqrt(width * height), 0.55 * level.deformation * rng.uniform(0.2, 1.0))
        roll = level.turn * rng.uniform(0.2, 1.0) * turn if rng.uniform() < 0.35 * level.turn else None
        return Actor(tuple(parts), poses, waves, roll, 0.5 * width, self._light(), soft=soft, shutter=self._shutter())

    def lookalike(self, cutout: Cutout, side: float, avoid: int) -> Cutout:
        """What could be mistaken for `cutout`: itself in other colours, its sibling, or a stranger of its size."""
        rng, kind = self._rng, self._rng.uniform()
        if kind < 0.4:
            rgb, alpha = cutout.rgb, cutout.alpha
            if rng.uniform() < 0.5:
                rgb, alpha = np.ascontiguousarray(rgb[:, ::-1]), np.ascontiguousarray(alpha[:, ::-1])
            return Cutout(recolour(rgb, rng, rng.uniform(0.1, 0.8)), alpha, cutout.source)
        if kind < 0.7:
            return self._material.sibling(rng, cutout, SHARP * side)
        return self._material.cutout(rng, SHARP * side, avoid)

    def _cloth(self, rows: int, columns: int) -> np.ndarray:
        """A patch (rows, columns, 3) of one of the pictures this scene's textures come from."""
        source = self._clothes[int(self._rng.integers(_CLOTHES))]
        return self._material.texture(self._rng, source, rows, columns)

    def _spin(self) -> np.ndarray:
        """(F,) rotation in the image plane, radians: most hardly turn, some sway, a few spin."""
        rng, turn, sway = self._rng, self._level.turn, self._curves.one()
        kind = rng.uniform()
        if kind < 0.4:
            return 0.15 * turn * sway
        if kind < 0.8:
            return 0.7 * turn * rng.uniform(0.3, 1.0) * sway
        return turn * (0.5 * sway + rng.uniform(-0.06, 0.06) * np.arange(len(sway)))

    def _light(self) -> np.ndarray:
        """(F,) factors on one actor's colours."""
        light: np.ndarray = np.exp(0.2 * self._level.look * self._rng.uniform() * self._curves.one())
        return light

    def _shutter(self) -> float:
        """Share of the frame time the shutter is open, 0 in most sequences."""
        return float(self._rng.uniform(0.2, 0.9)) if self._rng.uniform() < 0.4 * self._level.look else 0.0
