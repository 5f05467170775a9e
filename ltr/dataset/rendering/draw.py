"""Drawing actors into frames."""

from __future__ import annotations

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
    for part in actor.parts:
        rim = actor.project(part, part.sprite.outline, np.array([frame]))[0]
        height, width = canvas.shape[:2]
        x0, y0 = np.maximum(np.floor(rim.min(axis=0)).astype(int) - margin, 0)
        x1, y1 = np.minimum(np.ceil(rim.max(axis=0)).astype(int) + margin + 1, [width, height])
        if x1 - x0 < 1 or y1 - y0 < 1:
            continue
        colour, alpha = _warp_part(actor, part, frame, (int(x0), int(y0), int(x1), int(y1)))
        _blend(canvas[y0:y1, x0:x1], colour, alpha, kernel, actor.soft, None if actor.gain is None else actor.gain[frame])


def _warp_part(actor: Actor, part: Part, frame: int, window: tuple[int, int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Colours (h, w, 3) and alpha (h, w), uint8, of one part seen in a window x0, y0, x1, y1 of the frame."""
    x0, y0, x1, y1 = window
    sprite, placing = part.sprite, part.placing_at(frame)
    size = (x1 - x0, y1 - y0)
    if actor.waves is None and actor.roll is None:
        shift = np.array([[1.0, 0.0, -x0], [0.0, 1.0, -y0], [0.0, 0.0, 1.0]])
        forward = shift @ actor.poses[frame] @ placing
        colour = cv2.warpPerspective(sprite.rgb, forward, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        return colour, cv2.warpPerspective(sprite.alpha, forward, size, flags=cv2.INTER_LINEAR)
    columns = np.arange(-1, -(-size[0] // _GRID) + 1) * _GRID + 0.5 * (_GRID - 1) + x0
    rows = np.arange(-1, -(-size[1] // _GRID) + 1) * _GRID + 0.5 * (_GRID - 1) + y0
    nodes = np.stack(np.meshgrid(columns, rows), axis=-1).reshape(1, -1, 2)
    rest = transform(np.linalg.inv(actor.poses[frame])[None], nodes)
    if actor.waves is not None:
        rest = actor.waves.inverse(rest, np.array([frame]))
    back = np.linalg.inv(placing)[None]
    shape = (len(rows), len(columns))
    map_x, map_y = _dense(transform(back, rest)[0].reshape(*shape, 2), size)
    alpha = cv2.remap(sprite.alpha, map_x, map_y, cv2.INTER_LINEAR)
    if actor.roll is not None:
        turned = rest.copy()
        sine = np.clip(rest[..., 0] / actor.radius, -0.97, 0.97)
        turned[..., 0] = actor.radius * (np.arcsin(sine) / 1.3 + actor.roll[frame])
        map_x, map_y = _dense(transform(back, turned)[0].reshape(*shape, 2), size)
    colour = cv2.remap(sprite.rgb, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return colour, alpha


def _dense(nodes: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates at grid nodes (rows, columns, 2) -> maps of every pixel, float32 (h, w) each.

    The nodes start one cell before the window, so that linear interpolation is exact in all of it.
    """
    full = cv2.resize(nodes.astype(np.float32), None, fx=_GRID, fy=_GRID, interpolation=cv2.INTER_LINEAR)
    inner = full[_GRID : _GRID + size[1], _GRID : _GRID + size[0]]
    return np.ascontiguousarray(inner[..., 0]), np.ascontiguousarray(inner[..., 1])


def _blend(
    target: np.ndarray,
    colour: np.ndarray,
    alpha: np.ndarray,
    kernel: np.ndarray | None,
    soft: float,
    gain: np.ndarray | None,
) -> None:
    """Lay a picture over `target` (a view of the frame), in place."""
    weight = alpha.astype(np.float32)[..., None] / 255.0
    layer = colour.astype(np.float32)
    if gain is not None:
        layer *= gain.astype(np.float32)
    layer *= weight
    if kernel is not None:
        layer = cv2.filter2D(layer, -1, kernel, borderType=cv2.BORDER_REPLICATE)
        weight = cv2.filter2D(weight, -1, kernel, borderType=cv2.BORDER_REPLICATE)[..., None]
    if soft > 0.3:
        layer = cv2.GaussianBlur(layer, (0, 0), soft)
        weight = cv2.GaussianBlur(weight, (0, 0), soft)[..., None]
    layer += target * (1.0 - weight)
    np.clip(layer, 0.0, 255.0, out=layer)
    target[...] = (layer + 0.5).astype(np.uint8)
