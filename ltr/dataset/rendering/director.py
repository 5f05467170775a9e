"""Draws scenes at random: who plays, where they go, how they turn, what gets in the way."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from ltr.dataset.rendering.actor import Actor, Part, make_sprite
from ltr.dataset.rendering.curves import drifting_curves, smooth_curves, wandering_path
from ltr.dataset.rendering.deform import random_waves
from ltr.dataset.rendering.difficulty import Difficulty
from ltr.dataset.rendering.effects import random_look
from ltr.dataset.rendering.geometry import poses, transform, translations
from ltr.dataset.rendering.material import Cutout, Material, blend_in, recolour
from ltr.dataset.rendering.scene import Scene
from ltr.dataset.rendering.walker import appendages, walker_parts

_SHARP = 1.15  # sprites are prepared a little larger than seen


class Director:
    """Makes one scene; all random draws of a sequence happen here, in a fixed order."""

    def __init__(
        self, material: Material, rng: np.random.Generator, num_frames: int, size: tuple[int, int], level: Difficulty
    ) -> None:
        self.material, self.rng, self.num_frames, self.size, self.level = material, rng, num_frames, size, level
        self.background, self.source = material.background(rng)
        self.clothes = [material.wardrobe(rng) for _ in range(2)]
        self.shake = self._shake()
        self.camera = self._camera()

    def scene(self, name: str) -> Scene:
        """The scene, whole."""
        rng, level = self.rng, self.level
        kind = rng.uniform()
        largest = min(level.target_side[1], 0.6 * min(self.size))
        side = float(np.exp(rng.uniform(np.log(level.target_side[0]), np.log(max(largest, level.target_side[0])))))
        in_front = 0.4
        if kind < level.in_place:
            target, others, in_front = self._in_place(side), self._passers(side), 1.0
        elif kind < level.in_place + level.walker:
            target, others = self._walkers(min(side, 0.4 * self.size[0]))
        else:
            target, others = self._objects(side)
        path = target.poses[:, :2, 2] / target.poses[:, 2, 2][:, None]
        nearer = rng.uniform(size=len(others)) < in_front
        front = [actor for actor, near in zip(others, nearer, strict=True) if near]
        behind = [actor for actor, near in zip(others, nearer, strict=True) if not near]
        front += [self._occluder(path, side) for _ in range(rng.poisson(level.occluders))]
        look = random_look(rng, self.num_frames, level.look, np.gradient(self.shake, axis=0))
        actors = (*behind, target, *front)
        return Scene(
            name, self.size, cv2.cvtColor(self.background, cv2.COLOR_RGB2RGBA), self.camera, actors, len(behind), look, level.min_visible
        )  # fmt: skip

    # -- camera -------------------------------------------------------------------------------------------------

    def _shake(self) -> np.ndarray:
        """(F, 2) unsteadiness of the hand that holds the camera, pixels."""
        fast = smooth_curves(self.rng, 2, self.num_frames, (5.0, 25.0))
        return (4.0 * self.rng.uniform() ** 2 * fast).T if self.num_frames > 1 else np.zeros((1, 2))

    def _camera(self) -> np.ndarray:
        """(F, 3, 3) pan, zoom, roll and a little perspective of the background."""
        rng, (height, width) = self.rng, self.size
        photo_h, photo_w = self.background.shape[:2]
        pan_x, pan_y, zoom, turn, yaw, pitch = drifting_curves(rng, 6, self.num_frames, (40.0, 6.0 * self.num_frames))
        still = rng.uniform() < 0.3
        amount = 0.15 if still else 1.0
        cover = max(width / photo_w, height / photo_h)
        scale = cover * np.exp(rng.uniform(-0.1, 0.45) + 0.15 * amount * rng.uniform() * zoom)
        room = np.stack([scale * photo_w - 0.8 * width, scale * photo_h - 0.8 * height], axis=1)
        pan = 0.5 * amount * np.maximum(room, 0.0) * np.stack([pan_x, pan_y], axis=1)
        seen = poses(
            np.array([0.5 * width, 0.5 * height]) + pan + self.shake,
            np.stack([scale, scale], axis=1),
            rng.normal(0.0, 0.05) + 0.12 * amount * rng.uniform() * turn,
            0.15 * amount * yaw,
            0.15 * amount * pitch,
            2.5 * max(photo_h, photo_w),
        )
        middle = np.tile([[-0.5 * photo_w, -0.5 * photo_h]], (self.num_frames, 1))
        return seen @ translations(middle)

    # -- targets ------------------------------------------------------------------------------------------------

    def _in_place(self, side: float) -> Actor:
        """A target that is part of the background and moves with it."""
        rng = self.rng
        middle = self.num_frames // 2
        zoom = float(np.sqrt(np.abs(np.linalg.det(self.camera[middle][:2, :2]))))
        alpha = self.material.region(rng, self.source, side / zoom)
        sprite = make_sprite(self.background, alpha)
        # Aim the camera so that the target is in the picture in the middle of the sequence.
        seen = transform(self.camera, sprite.inside.mean(axis=0, keepdims=True))[:, 0]
        height, width = self.size
        goal = np.array([width, height]) * rng.uniform(0.25, 0.75, 2)
        self.camera = translations(np.tile(goal - seen[middle], (self.num_frames, 1))) @ self.camera
        return Actor((Part(sprite, np.eye(3)),), self.camera, drawn=False)

    def _walkers(self, side: float) -> tuple[Actor, list[Actor]]:
        """A walking figure and others of about its size."""
        rng = self.rng
        height = 1.6 * side
        path = self._path(side, upright=True)
        share, soft = rng.uniform(0.0, 0.7), rng.uniform(0.0, 0.7)
        target = self._walker(height, path, share, soft)
        count = 1 + rng.poisson(1.3 * self.level.distractors) if self.level.distractors > 0 else 0
        others = [
            self._walker(height * np.exp(rng.normal(0.0, 0.12)), self._near(path, side, flat=True), share, soft)
            for _ in range(count)
        ]
        return target, others

    def _walker(self, height: float, path: np.ndarray, share: float, soft: float) -> Actor:
        rng = self.rng
        body = walker_parts(self._cloth, rng, _SHARP * height, self.num_frames)
        parts = tuple(self._camouflaged(body, path, height, share))
        lean, grow, width = drifting_curves(rng, 3, self.num_frames, (30.0, 4.0 * self.num_frames))
        grow = 0.7 * np.log1p(self.level.scale_change) * rng.uniform() * grow
        bob = 0.012 * height * rng.uniform() * smooth_curves(rng, 1, self.num_frames, (6.0, 12.0))[0]
        scale = np.exp(np.stack([grow + 0.15 * width, grow], axis=1)) / _SHARP
        flat = np.zeros(self.num_frames)
        pose = poses(
            path + np.stack([flat, bob], axis=1) + self.shake, scale, 0.08 * lean + rng.normal(0, 0.03), flat, flat, 1e6
        )
        return Actor(parts, pose, gain=self._light(), soft=soft, shutter=self._shutter())

    def _objects(self, side: float) -> tuple[Actor, list[Actor]]:
        """A cut-out and objects that could be mistaken for it."""
        rng = self.rng
        cutout = self.material.cutout(rng, _SHARP * side, self.source)
        path = self._path(side)
        share = rng.uniform(0.0, 0.8) if rng.uniform() < 0.6 else 0.0
        soft = rng.uniform(0.0, 0.8)
        target = self._object(cutout, side, path, share, soft)
        others = []
        for _ in range(rng.poisson(self.level.distractors)):
            own = side * float(np.exp(rng.normal(0.0, 0.2)))
            others.append(self._object(self._lookalike(cutout, own), own, self._near(path, side), share, soft))
        return target, others

    def _lookalike(self, cutout: Cutout, side: float) -> Cutout:
        """The same object in other colours, its sibling, or a stranger."""
        rng, kind = self.rng, self.rng.uniform()
        if kind < 0.4:
            rgb, alpha = cutout.rgb, cutout.alpha
            if rng.uniform() < 0.5:
                rgb, alpha = np.ascontiguousarray(rgb[:, ::-1]), np.ascontiguousarray(alpha[:, ::-1])
            return Cutout(recolour(rgb, rng, rng.uniform(0.1, 0.8)), alpha, cutout.source)
        if kind < 0.7:
            return self.material.sibling(rng, cutout, _SHARP * side)
        return self.material.cutout(rng, _SHARP * side, self.source)

    def _passers(self, side: float) -> list[Actor]:
        """Objects moving about in front of or behind a target that is part of the background (all in front)."""
        rng = self.rng
        out = []
        for _ in range(rng.poisson(0.6 * self.level.distractors)):
            own = side * float(np.exp(rng.normal(0.0, 0.3)))
            path = self._path(own)
            out.append(self._object(self.material.cutout(rng, _SHARP * own, self.source), own, path, 0.3, 0.4))
        return out

    def _object(self, cutout: Cutout, side: float, path: np.ndarray, share: float, soft: float) -> Actor:
        """An actor that looks like `cutout`, turning, bending and changing in size along a path."""
        rng, level, num_frames = self.rng, self.level, self.num_frames
        rows, columns = np.nonzero(cutout.alpha > 127)
        width, height = float(np.ptp(columns) + 1), float(np.ptp(rows) + 1)
        rest = np.eye(3)
        rest[:2, 2] = -0.5 * (columns.min() + columns.max()), -0.5 * (rows.min() + rows.max())
        sprite = make_sprite(cutout.rgb, cutout.alpha)
        parts = self._camouflaged([Part(sprite, rest)], path, side, share)
        if rng.uniform() < 0.3 * level.deformation and min(width, height) >= 30.0:
            parts = appendages(self._cloth, rng, width, height, num_frames) + parts
        curves = drifting_curves(rng, 5, num_frames, (25.0, 4.0 * num_frames))
        grow = np.log1p(level.scale_change) * rng.uniform() * curves[0]
        aspect = 0.2 * level.scale_change / 0.4 * rng.uniform() * curves[1]
        zoom = side / np.sqrt(width * height)
        scale = zoom * np.exp(np.stack([grow + aspect, grow - aspect], axis=1))
        tilt = level.turn * rng.choice([0.2, 0.8], 2)
        pose = poses(
            path + self.shake, scale, self._spin(), tilt[0] * curves[2], tilt[1] * curves[3], 2.5 * max(width, height)
        )
        waves = None
        if rng.uniform() < 0.3 + 0.5 * level.deformation:
            waves = random_waves(rng, np.sqrt(width * height), 0.55 * level.deformation * rng.uniform(0.2, 1.0))
        roll = level.turn * rng.uniform(0.2, 1.0) * curves[4] if rng.uniform() < 0.35 * min(level.turn, 1.5) else None
        return Actor(
            tuple(parts), pose, waves, roll, 0.5 * width, self._light(), soft=soft, shutter=self._shutter()
        )  # fmt: skip

    def _occluder(self, path: np.ndarray, side: float) -> Actor:
        """Something that passes in front of the target once."""
        rng = self.rng
        meeting = int(rng.integers(self.num_frames))
        velocity = side * np.exp(rng.uniform(np.log(0.02), np.log(0.25)))
        heading = rng.uniform(0.0, 2.0 * np.pi)
        offset = (np.arange(self.num_frames) - meeting)[:, None] * velocity * np.array([np.cos(heading), np.sin(heading)])
        base = path if rng.uniform() < 0.5 else np.broadcast_to(path[meeting], path.shape)
        own = side * rng.uniform(0.35, 1.1)
        cutout = self.material.cutout(rng, _SHARP * own, self.source)
        miss = rng.normal(0.0, 0.25 * side, 2)
        return self._object(cutout, own, base + offset + miss, rng.uniform(0.0, 0.5), rng.uniform(0.0, 1.0))

    # -- paths and light ----------------------------------------------------------------------------------------

    def _path(self, side: float, upright: bool = False) -> np.ndarray:
        """(F, 2) path of a target through the frame."""
        slow, fast = self.level.speed
        speed = side * np.exp(self.rng.uniform(np.log(slow), np.log(fast)))
        edge = side * (0.5 - self.level.leave_frame * self.rng.uniform(0.0, 2.0))
        height, width = self.size
        room = (edge, edge, width - edge, height - edge)
        return wandering_path(self.rng, self.num_frames, float(speed), room, upright)

    def _near(self, path: np.ndarray, side: float, flat: bool = False) -> np.ndarray:
        """(F, 2) path that stays around another and may cross it."""
        rng = self.rng
        away = drifting_curves(rng, 2, self.num_frames, (30.0, 5.0 * self.num_frames))
        away *= side * rng.uniform(0.5, 3.0)
        away += side * rng.normal(0.0, 1.2, (2, 1))
        if flat:
            away[1] *= 0.4
        return path + away.T

    def _spin(self) -> np.ndarray:
        """(F,) rotation in the image plane, radians: most hardly turn, some sway, a few spin."""
        rng, turn = self.rng, self.level.turn
        kind = rng.uniform()
        sway = drifting_curves(rng, 1, self.num_frames, (20.0, 3.0 * self.num_frames))[0]
        if kind < 0.4:
            return 0.15 * turn * sway
        if kind < 0.8:
            return 0.7 * turn * rng.uniform(0.3, 1.0) * sway
        return turn * (0.5 * sway + rng.uniform(-0.06, 0.06) * np.arange(self.num_frames))

    def _light(self) -> np.ndarray:
        """(F, 3) factors on one actor's colours."""
        curve = drifting_curves(self.rng, 1, self.num_frames, (20.0, 4.0 * self.num_frames))[0]
        return np.exp(0.2 * self.level.look * self.rng.uniform() * curve)[:, None] * np.ones(3)

    def _shutter(self) -> float:
        """Share of the frame time the shutter is open, 0 in most sequences."""
        return float(self.rng.uniform(0.2, 0.9)) if self.rng.uniform() < 0.4 * self.level.look else 0.0

    def _cloth(self, height: int, width: int) -> np.ndarray:
        """A patch (height, width, 3) of one of the pictures this scene's textures come from."""
        return self.material.texture(self.rng, self.clothes[int(self.rng.integers(len(self.clothes)))], height, width)

    def _camouflaged(self, parts: Sequence[Part], path: np.ndarray, side: float, share: float) -> list[Part]:
        """The parts with their colours moved towards the background where the path begins."""
        if share <= 0.0:
            return list(parts)
        at = transform(np.linalg.inv(self.camera[:1]), path[:1, None])[0, 0]
        height, width = self.background.shape[:2]
        x, y = np.clip(at, 0, [width - 1, height - 1]).astype(int)
        reach = int(max(side, 8))
        patch = self.background[max(y - reach, 0) : y + reach + 1, max(x - reach, 0) : x + reach + 1]
        around = cv2.meanStdDev(patch)
        return [
            Part(part.sprite.with_colours(blend_in(part.sprite.rgba[..., :3], part.sprite.alpha, around, share)), part.placing)
            for part in parts
        ]
