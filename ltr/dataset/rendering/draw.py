"""Drawing actors into frames."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from ltr.dataset.rendering.actor import Actor, Part
from ltr.dataset.rendering.geometry import transform

_GRID = 8  # pixels between the nodes at which bent coordinates are computed exactly


def motion_kernel(step: np.ndarray, longest: float) -> np.ndarray | None:
    """Line kernel (k, k) float32 of a movement while the shutter is open, None if it is too short to matter.

    Args:
        step: (2,) movement in x and y, pixels.
        longest: longer movements are shortened to this, pixels: large kernels are slow.
    """
    length = float(np.hypot(*step))
    if length < 1.3:
        return None
    half = 0.5 * min(length, longest) * step / length
    reach = int(np.ceil(np.abs(half).max()))
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    ends = np.round((reach + np.array([-half, half])) * 16).astype(int)
    cv2.line(kernel, tuple(ends[0].tolist()), tuple(ends[1].tolist()), 1.0, 1, cv2.LINE_AA, 4)
    total = float(kernel.sum())
    return kernel / total if total > 0 else None


def draw_actor(canvas: np.ndarray, actor: Actor, frame: int) -> None:
    """Draw one actor into a frame in place; canvas: (H, W, 3) uint8."""
    frames = np.array([frame])
    pose = actor.poses.at(frames)[0]
    kernel = _motion_blur(actor, frame) if actor.shutter > 0 else None
    margin = 2 + (0 if kernel is None else kernel.shape[0] // 2) + int(np.ceil(2.5 * actor.soft))
    height, width = canvas.shape[:2]
    for part in actor.parts:
        placing = part.placing(frames)[0]
        rim = transform((pose @ placing)[None], part.sprite.outline)[0] if actor.waves is None else actor.outline(part, frame)
        # A pose seen almost edge-on may reach towards infinity.
        x0, y0 = np.clip(rim.min(axis=0) - margin, 0, (width, height)).astype(int).tolist()
        x1, y1 = np.clip(rim.max(axis=0) + (margin + 2), 0, (width, height)).astype(int).tolist()
        if x1 <= x0 or y1 <= y0:
            continue
        if actor.waves is None and actor.roll is None:
            forward = pose @ placing
            forward[0] -= x0 * forward[2]
            forward[1] -= y0 * forward[2]
            rgba = cv2.warpPerspective(part.sprite.rgba, forward, (x1 - x0, y1 - y0), flags=cv2.INTER_LINEAR)
        else:
            rgba = _bent_part(actor, part, frame, pose, placing, (x0, y0, x1, y1))
        gain = 1.0 if actor.gain is None else float(actor.gain[frame])
        _blend(canvas[y0:y1, x0:x1], rgba, kernel, actor.soft, gain)


def _motion_blur(actor: Actor, frame: int) -> np.ndarray | None:
    """Kernel of the movement of an actor's centre around one frame."""
    before, after = max(frame - 1, 0), min(frame + 1, len(actor.poses) - 1)
    step = (actor.poses.centre[after] - actor.poses.centre[before]) / max(after - before, 1)
    return motion_kernel(actor.shutter * step, 24.0)


def _bent_part(
    actor: Actor, part: Part, frame: int, pose: np.ndarray, placing: np.ndarray, window: tuple[int, int, int, int]
) -> np.ndarray:
    """Colours and alpha (h, w, 4) uint8 of a part of a bent or rolling body in a window x0, y0, x1, y1."""
    x0, y0, x1, y1 = window
    size = (x1 - x0, y1 - y0)
    columns = np.arange(-1, -(-size[0] // _GRID) + 1) * _GRID + 0.5 * (_GRID - 1) + x0
    rows = np.arange(-1, -(-size[1] // _GRID) + 1) * _GRID + 0.5 * (_GRID - 1) + y0
    nodes = np.empty((len(rows), len(columns), 2))
    nodes[..., 0], nodes[..., 1] = columns, rows[:, None]
    rest = transform(np.linalg.inv(pose)[None], nodes.reshape(1, -1, 2))
    if actor.waves is not None:
        rest = actor.waves.inverse(rest, np.array([frame]))
    back = np.linalg.inv(placing)[None]
    map_x, map_y = _dense(transform(back, rest)[0].reshape(nodes.shape), size)
    rgba = cv2.remap(part.sprite.rgba, map_x, map_y, cv2.INTER_LINEAR)
    if actor.roll is not None:
        turned = rest.copy()
        sine = np.clip(rest[..., 0] / actor.radius, -0.97, 0.97)
        turned[..., 0] = actor.radius * (np.arcsin(sine) / 1.3 + actor.roll[frame])
        map_x, map_y = _dense(transform(back, turned)[0].reshape(nodes.shape), size)
        colour = cv2.remap(part.sprite.rgba, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        rgba[..., :3] = colour[..., :3]
    return np.asarray(rgba)


def _dense(nodes: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates at grid nodes (rows, columns, 2) -> maps of every pixel, float32 (h, w) each.

    The nodes start one cell before the window, so that linear interpolation is exact in all of it.
    """
    full = cv2.resize(nodes.astype(np.float32), None, fx=_GRID, fy=_GRID, interpolation=cv2.INTER_LINEAR)
    inner = full[_GRID : _GRID + size[1], _GRID : _GRID + size[0]]
    return np.ascontiguousarray(inner[..., 0]), np.ascontiguousarray(inner[..., 1])


def _blend(target: np.ndarray, rgba: np.ndarray, kernel: np.ndarray | None, soft: float, gain: float) -> None:
    """Lay a picture (h, w, 4) uint8 over `target` (h, w, 3), a view of the frame, in place."""
    layer: Any = rgba.astype(np.float32)
    weight = layer[..., 3:]
    layer[..., :3] *= weight * (gain / 255.0)
    if kernel is not None:
        layer = cv2.filter2D(layer, -1, kernel, borderType=cv2.BORDER_REPLICATE)
    if soft > 0.35:
        layer = cv2.GaussianBlur(layer, (0, 0), soft)
    mixed = target * (1.0 - layer[..., 3:] * np.float32(1.0 / 255.0))
    mixed += layer[..., :3]
    mixed += 0.5
    np.minimum(mixed, 255.0, out=mixed)
    target[...] = mixed  # a cast of values in 0..255
