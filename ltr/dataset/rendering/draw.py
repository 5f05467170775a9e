"""Drawing actors into frames."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from ltr.dataset.rendering.actor import Actor, Part
from ltr.dataset.rendering.geometry import transform

_GRID = 8  # pixels between the nodes at which bent coordinates are computed exactly


def motion_kernel(step_xy: np.ndarray) -> np.ndarray | None:
    """Line kernel (k, k) float32 of a movement of `step_xy` pixels while the shutter is open, None if too short."""
    length = float(np.hypot(*step_xy))
    if length < 1.3:
        return None
    reach = min(int(np.ceil(0.5 * length)), 12)
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    half = 0.5 * min(length, 2.0 * reach) * step_xy / length
    ends = np.round((reach + np.array([-half, half])) * 16).astype(int)
    cv2.line(kernel, tuple(ends[0].tolist()), tuple(ends[1].tolist()), 1.0, 1, cv2.LINE_AA, 4)
    total = kernel.sum()
    return kernel / total if total > 0 else None


def screen_step(actor: Actor, frame: int) -> np.ndarray:
    """(2,) movement of the actor's centre around one frame, pixels per frame."""
    before, after = max(frame - 1, 0), min(frame + 1, len(actor.poses) - 1)
    ends = actor.poses[[before, after], :2, 2] / actor.poses[[before, after], 2, 2][:, None]
    return (ends[1] - ends[0]) / max(after - before, 1)


def draw_actor(canvas: np.ndarray, actor: Actor, frame: int) -> None:
    """Draw one actor into a frame in place; canvas: (H, W, 3) uint8."""
    kernel = motion_kernel(actor.shutter * screen_step(actor, frame)) if actor.shutter > 0 else None
    margin = 2 + (0 if kernel is None else kernel.shape[0] // 2) + int(np.ceil(2.5 * actor.soft))
    height, width = canvas.shape[:2]
    for part in actor.parts:
        left, top, right, bottom = _extent(actor, part, frame)
        x0, y0 = max(int(left) - margin, 0), max(int(top) - margin, 0)
        x1, y1 = min(int(right) + margin + 2, width), min(int(bottom) + margin + 2, height)
        if x1 <= x0 or y1 <= y0:
            continue
        rgba = _warp_part(actor, part, frame, (x0, y0, x1, y1))
        gain = None if actor.gain is None else actor.gain[frame]
        _blend(canvas[y0:y1, x0:x1], rgba, kernel, actor.soft, gain)


def _extent(actor: Actor, part: Part, frame: int) -> tuple[float, float, float, float]:
    """Least and greatest x and y (left, top, right, bottom) of a part's rim in a frame, in pixels."""
    if actor.waves is not None:
        rim = actor.project(part, part.sprite.outline, np.array([frame]))[0]
        x, y = rim[:, 0], rim[:, 1]
    else:
        # The same in fewer steps: walkers have many small parts.
        forward = actor.poses[frame] @ part.placing_at(frame)
        x, y, depth = forward[:, :2] @ part.sprite.outline.T + forward[:, 2:]
        x, y = x / depth, y / depth
    limit = 1e6  # a pose seen edge-on may reach towards infinity
    return max(x.min(), -limit), max(y.min(), -limit), min(x.max(), limit), min(y.max(), limit)


def _warp_part(actor: Actor, part: Part, frame: int, window: tuple[int, int, int, int]) -> np.ndarray:
    """Colours and alpha (h, w, 4) uint8 of one part seen in a window x0, y0, x1, y1 of the frame."""
    x0, y0, x1, y1 = window
    sprite, placing = part.sprite, part.placing_at(frame)
    size = (x1 - x0, y1 - y0)
    if actor.waves is None and actor.roll is None:
        forward = actor.poses[frame] @ placing
        forward[0] -= x0 * forward[2]
        forward[1] -= y0 * forward[2]
        return np.asarray(cv2.warpPerspective(sprite.rgba, forward, size, flags=cv2.INTER_LINEAR))
    columns = np.arange(-1, -(-size[0] // _GRID) + 1) * _GRID + 0.5 * (_GRID - 1) + x0
    rows = np.arange(-1, -(-size[1] // _GRID) + 1) * _GRID + 0.5 * (_GRID - 1) + y0
    nodes = np.stack(np.meshgrid(columns, rows), axis=-1).reshape(1, -1, 2)
    rest = transform(np.linalg.inv(actor.poses[frame])[None], nodes)
    if actor.waves is not None:
        rest = actor.waves.inverse(rest, np.array([frame]))
    back = np.linalg.inv(placing)[None]
    shape = (len(rows), len(columns))
    map_x, map_y = _dense(transform(back, rest)[0].reshape(*shape, 2), size)
    rgba = cv2.remap(sprite.rgba, map_x, map_y, cv2.INTER_LINEAR)
    if actor.roll is not None:
        turned = rest.copy()
        sine = np.clip(rest[..., 0] / actor.radius, -0.97, 0.97)
        turned[..., 0] = actor.radius * (np.arcsin(sine) / 1.3 + actor.roll[frame])
        map_x, map_y = _dense(transform(back, turned)[0].reshape(*shape, 2), size)
        colour = cv2.remap(sprite.rgba, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        rgba[..., :3] = colour[..., :3]
    return np.asarray(rgba)


def _dense(nodes: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates at grid nodes (rows, columns, 2) -> maps of every pixel, float32 (h, w) each.

    The nodes start one cell before the window, so that linear interpolation is exact in all of it.
    """
    full = cv2.resize(nodes.astype(np.float32), None, fx=_GRID, fy=_GRID, interpolation=cv2.INTER_LINEAR)
    inner = full[_GRID : _GRID + size[1], _GRID : _GRID + size[0]]
    return np.ascontiguousarray(inner[..., 0]), np.ascontiguousarray(inner[..., 1])


def _blend(
    target: np.ndarray, rgba: np.ndarray, kernel: np.ndarray | None, soft: float, gain: np.ndarray | None
) -> None:
    """Lay a picture (h, w, 4) uint8 over `target` (h, w, 3), a view of the frame, in place."""
    layer: Any = rgba.astype(np.float32)
    weight = layer[..., 3:]
    weight *= 1.0 / 255.0
    layer[..., :3] *= weight if gain is None else weight * gain.astype(np.float32)
    if kernel is not None:
        layer = cv2.filter2D(layer, -1, kernel, borderType=cv2.BORDER_REPLICATE)
    if soft > 0.3:
        layer = cv2.GaussianBlur(layer, (0, 0), soft)
    mixed = target * (1.0 - layer[..., 3:])
    mixed += layer[..., :3]
    mixed += 0.5
    np.minimum(mixed, 255.0, out=mixed)
    target[...] = mixed.astype(np.uint8)
