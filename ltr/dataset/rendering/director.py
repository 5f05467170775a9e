"""Draws scenes at random: who plays, where they go, what gets in the way."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from ltr.dataset.rendering.actor import Actor, Part
from ltr.dataset.rendering.camera import camera_move, hand_shake
from ltr.dataset.rendering.cast import SHARP, Cast
from ltr.dataset.rendering.curves import CurveBank, wandering_path
from ltr.dataset.rendering.difficulty import Difficulty
from ltr.dataset.rendering.effects import random_look
from ltr.dataset.rendering.geometry import local_scale, transform
from ltr.dataset.rendering.material import Material, Tone
from ltr.dataset.rendering.scene import Scene
from ltr.dataset.rendering.sprite import make_sprite


class Director:
    """Makes one scene; all random draws of a sequence happen here, in a fixed order.

    Args:
        material: supplies the pictures.
        rng: of this sequence.
        num_frames: F.
        size: height and width of the frames in pixels.
        level: settings.
    """

    def __init__(
        self, material: Material, rng: np.random.Generator, num_frames: int, size: tuple[int, int], level: Difficulty
    ) -> None:
        self._material, self._rng, self._num_frames, self._size, self._level = material, rng, num_frames, size, level
        self._background, self._source = material.background(rng)
        self._curves = CurveBank(rng, num_frames)
        self._shake = hand_shake(rng, num_frames)
        self._camera = camera_move(rng, self._curves, self._background.shape[:2], size, self._shake)
        self._cast = Cast(material, rng, self._curves, self._shake, level)

    def scene(self, name: str) -> Scene:
        """The scene, whole."""
        rng, level = self._rng, self._level
        side, kind = self._target_side(), rng.uniform()
        nearer_share = 0.4
        if kind < level.in_place:
            # Nothing can pass behind a part of the background.
            target, others, nearer_share = self._in_place(side), self._passers(side), 1.0
        elif kind < level.in_place + level.walker:
            target, others = self._figures(min(side, 0.4 * self._size[0]))
        else:
            target, others = self._things(side)
        nearer = rng.uniform(size=len(others)) < nearer_share
        front = [actor for actor, near in zip(others, nearer, strict=True) if near]
        behind = [actor for actor, near in zip(others, nearer, strict=True) if not near]
        boxes = target.boxes(np.arange(self._num_frames))
        path = boxes[:, :2] + 0.5 * boxes[:, 2:]
        front += [self._occluder(path, side) for _ in range(rng.poisson(level.occluders))]
        return Scene(
            name=name,
            size=self._size,
            background=cv2.cvtColor(self._background, cv2.COLOR_RGB2RGBA),
            camera=self._camera,
            actors=(*behind, target, *front),
            target=len(behind),
            boxes=boxes.astype(np.float32),
            look=random_look(rng, self._curves, level.look, np.diff(self._shake, axis=0, prepend=self._shake[:1])),
            min_visible=level.min_visible,
        )

    def _target_side(self) -> float:
        """sqrt(w h) of the target in pixels, small ones as likely as large ones."""
        low = min(self._level.target_side[0], 0.5 * min(self._size))
        high = max(min(self._level.target_side[1], 0.6 * min(self._size)), low)
        return float(np.exp(self._rng.uniform(np.log(low), np.log(high))))

    # -- targets ------------------------------------------------------------------------------------------------

    def _in_place(self, side: float) -> Actor:
        """A target that is part of the background and moves with it."""
        rng, middle = self._rng, self._num_frames // 2
        zoom = float(local_scale(self._camera.at(np.array([middle])))[0])
        alpha = self._material.region(rng, self._source, side / zoom)
        sprite = make_sprite(self._background, alpha)
        # Aim the camera so that the target is in the picture in the middle of the sequence.
        seen = transform(self._camera.matrix(middle), sprite.inside.mean(axis=1, keepdims=True))[:, 0]
        goal = np.array([self._size[1], self._size[0]]) * rng.uniform(0.25, 0.75, 2)
        self._camera = replace(self._camera, centre=self._camera.centre + goal - seen)
        return Actor((Part(sprite, (0.0, 0.0)),), self._camera, drawn=False)

    def _passers(self, side: float) -> list[Actor]:
        """Objects that move about in front of a target that is part of the background."""
        out = []
        for _ in range(self._rng.poisson(0.6 * self._level.distractors)):
            own = side * float(np.exp(self._rng.normal(0.0, 0.3)))
            path = self._path(own)
            cutout = self._material.cutout(self._rng, SHARP * own, self._source)
            out.append(self._cast.thing(cutout, own, path, self._tone(path, own, 0.3), 0.4))
        return out

    def _figures(self, side: float) -> tuple[Actor, list[Actor]]:
        """A walking figure and others of about its size."""
        rng, height = self._rng, 1.6 * side
        path = self._path(side, upright=True)
        tone, soft = self._tone(path, side, rng.uniform(0.0, 0.7)), rng.uniform(0.0, 0.7)
        target = self._cast.figure(height, path, tone, soft)
        others = []
        for _ in range(rng.poisson(2.0 * self._level.distractors)):
            own = height * float(np.exp(rng.normal(0.0, 0.12)))
            others.append(self._cast.figure(own, self._near(path, side, level=True), tone, soft))
        return target, others

    def _things(self, side: float) -> tuple[Actor, list[Actor]]:
        """A cut-out and objects that could be mistaken for it."""
        rng = self._rng
        cutout = self._material.cutout(rng, SHARP * side, self._source)
        path = self._path(side)
        tone = self._tone(path, side, rng.uniform(0.0, 0.65) if rng.uniform() < 0.6 else 0.0)
        soft = rng.uniform(0.0, 0.8)
        target = self._cast.thing(cutout, side, path, tone, soft)
        others = []
        for _ in range(rng.poisson(self._level.distractors)):
            own = max(side * float(np.exp(rng.normal(0.0, 0.2))), 8.0)
            other = self._cast.lookalike(cutout, own, self._source)
            others.append(self._cast.thing(other, own, self._near(path, side), tone, soft))
        return target, others

    def _occluder(self, path: np.ndarray, side: float) -> Actor:
        """Something that passes in front of the target once; path: (F, 2) of the target's middle."""
        rng = self._rng
        meeting = int(rng.integers(self._num_frames))
        speed = side * np.exp(rng.uniform(np.log(0.02), np.log(0.25)))
        heading = rng.uniform(0.0, 2.0 * np.pi)
        course = speed * np.array([np.cos(heading), np.sin(heading)])
        base = path if rng.uniform() < 0.5 else path[meeting]
        own = max(side * rng.uniform(0.35, 1.1), 8.0)
        own_path = base + (np.arange(self._num_frames) - meeting)[:, None] * course + rng.normal(0.0, 0.25 * side, 2)
        cutout = self._material.cutout(rng, SHARP * own, self._source)
        tone = self._tone(path, side, rng.uniform(0.0, 0.5))
        return self._cast.thing(cutout, own, own_path, tone, rng.uniform(0.0, 1.0))

    # -- paths and colours --------------------------------------------------------------------------------------

    def _path(self, side: float, upright: bool = False) -> np.ndarray:
        """(F, 2) path of a target through the frame."""
        slow, fast = self._level.speed
        speed = side * np.exp(self._rng.uniform(np.log(slow), np.log(fast)))
        edge = side * (0.5 - self._level.leave_frame * self._rng.uniform(0.0, 2.0))
        height, width = self._size
        room = (edge, edge, width - edge, height - edge)
        return wandering_path(self._rng, self._num_frames, float(speed), room, upright)

    def _near(self, path: np.ndarray, side: float, level: bool = False) -> np.ndarray:
        """(F, 2) path that stays around another and may cross it; level: mostly beside it."""
        rng = self._rng
        away = side * rng.uniform(0.5, 3.0) * self._curves.take(2)
        away += side * rng.normal(0.0, 1.2, (2, 1))
        if level:
            away[1] *= 0.4
        return path + away.T

    def _tone(self, path: np.ndarray, side: float, share: float) -> Tone | None:
        """The background's colours where a path begins, to be approached by `share`."""
        if share <= 0.0:
            return None
        back = np.linalg.inv(self._camera.matrix(0))
        height, width = self._background.shape[:2]
        x, y = np.clip(transform(back, path[:1].T)[:, 0], 0, [width - 1, height - 1]).astype(int).tolist()
        reach = int(max(side, 8.0))
        patch = self._background[max(y - reach, 0) : y + reach + 1, max(x - reach, 0) : x + reach + 1]
        mean, std = cv2.meanStdDev(patch)
        return Tone(mean, std, share)
