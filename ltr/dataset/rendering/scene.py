"""A whole sequence: background, camera, actors in their order, and the look of the film."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from ltr.dataset.base import SequenceInfo
from ltr.dataset.rendering.actor import Actor
from ltr.dataset.rendering.draw import draw_actor
from ltr.dataset.rendering.effects import Look, apply_look
from ltr.dataset.rendering.geometry import Poses


@dataclass(frozen=True, eq=False)
class Scene:
    """Everything needed to draw any frame of a sequence of F frames.

    Attributes:
        name: for messages.
        size: height and width of the frames in pixels.
        background: (h, w, 4) uint8 RGB and a filler: OpenCV warps four channels faster than three.
        camera: background pixels to frame pixels.
        actors: drawn in this order.
        target: index of the target in `actors`.
        boxes: (F, 4) float32 of the target, `[x, y, w, h]` pixels.
        look: of the film.
        min_visible: share of the target that must be seen for a frame to count as visible.
    """

    name: str
    size: tuple[int, int]
    background: np.ndarray
    camera: Poses
    actors: tuple[Actor, ...]
    target: int
    boxes: np.ndarray
    look: Look
    min_visible: float

    def info(self) -> SequenceInfo:
        """Boxes and visibility of all frames."""
        frames = np.arange(len(self.camera))
        return SequenceInfo(self.boxes, self.visible_share(frames) >= self.min_visible, self.name)

    def visible_share(self, frames: np.ndarray) -> np.ndarray:
        """Share of the target inside the frame and not hidden -> (len(frames),) in [0, 1], by sample points."""
        points = self.actors[self.target].inside_points(frames)
        height, width = self.size
        x, y = points[:, 0], points[:, 1]
        seen = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
        for actor in self.actors[self.target + 1 :]:
            seen &= ~actor.covers(points, frames)
        return seen.mean(axis=1)

    def draw(self, frame: int, rng: np.random.Generator) -> np.ndarray:
        """One frame (H, W, 3) uint8 RGB; `rng` makes its noise."""
        height, width = self.size
        camera = self.camera.matrix(frame)
        canvas = cv2.warpPerspective(
            self.background, camera, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
        )
        canvas = cv2.cvtColor(canvas, cv2.COLOR_RGBA2RGB)
        for actor in self.actors:
            if actor.drawn:
                draw_actor(canvas, actor, frame)
        return apply_look(canvas, self.look, frame, rng)

    def target_mask(self, frame: int) -> np.ndarray:
        """Silhouette of the target alone, (H, W) uint8 0..255, whether hidden or not: what its box must bound."""
        canvas = np.zeros((*self.size, 3), np.uint8)
        target = self.actors[self.target]
        white = tuple(
            replace(part, sprite=part.sprite.with_colours(np.full_like(part.sprite.rgba[..., :3], 255)))
            for part in target.parts
        )
        draw_actor(canvas, Actor(white, target.poses, target.waves), frame)
        return canvas[..., 0].copy()
