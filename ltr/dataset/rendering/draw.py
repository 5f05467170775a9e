"""Drawing actors into frames."""

from __future__ import annotations

import cv2
import numpy as np

from ltr.dataset.rendering.actor import Actor, Part
from ltr.dataset.rendering.geometry import transform


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
    pose = actor.poses.matrix(frame)
    kernel = _motion_blur(actor, frame) if actor.shutter > 0 else None
    margin = 2 + (0 if kernel is None else kernel.shape[0] // 2) + int(np.ceil(2.5 * actor.soft))
    height, width = canvas.shape[:2]
    for part in actor.parts:
        rim = actor.rim(part, frame)
        low, high = rim.min(axis=1).tolist(), rim.max(axis=1).tolist()
        x0, y0 = (int(max(value - margin, 0)) for value in low)
        # A pose seen almost edge-on may reach towards infinity.
        x1, y1 = (int(min(value + margin + 2, side)) for value, side in zip(high, (width, height), strict=True))
        if x1 <= x0 or y1 <= y0:
            continue
        if actor.waves is None and actor.roll is None:
            forward = pose @ part.placing_in(frame)
            forward[0] -= x0 * forward[2]
            forward[1] -= y0 * forward[2]
            rgba = cv2.warpPerspective(part.sprite.rgba, forward, (x1 - x0, y1 - y0), flags=cv2.INTER_LINEAR)
        else:
            rgba = _bent_part(actor, part, frame, pose, (x0, y0, x1, y1))
        gain = 1.0 if actor.gain is None else float(actor.gain[frame])
        _blend(canvas[y0:y1, x0:x1], rgba, kernel, actor.soft, gain)


def _motion_blur(actor: Actor, frame: int) -> np.ndarray | None:
    """Kernel of the movement of an actor's centre around one frame."""
    before, after = max(frame - 1, 0), min(frame + 1, len(actor.poses) - 1)
    step = (actor.poses.centre[after] - actor.poses.centre[before]) / max(after - before, 1)
    return motion_kernel(actor.shutter * step, 24.0)


def _bent_part(actor: Actor, part: Part, frame: int, pose: np.ndarray, window: tuple[int, int, int, int]) -> np.ndarray:
    """Colours and alpha (h, w, 4) uint8 of a part of a bent or rolling body in a window x0, y0, x1, y1."""
    x0, y0, x1, y1 = window
    width, height = x1 - x0, y1 - y0
    # Bent coordinates are computed at the nodes of a grid, close enough to follow the shortest waves.
    cell = min(max(min(width, height) // 6, 3), 12)
    columns = np.arange(-1, -(-width // cell) + 1) * cell + (0.5 * (cell - 1) + x0)
    rows = np.arange(-1, -(-height // cell) + 1) * cell + (0.5 * (cell - 1) + y0)
    nodes = np.empty((2, len(rows), len(columns)))
    nodes[0], nodes[1] = columns, rows[:, None]
    rest = transform(np.linalg.inv(pose), nodes.reshape(2, -1))
    if actor.waves is not None:
        rest = actor.waves.inverse(rest[None], np.array([frame]))[0]
    back = np.linalg.inv(part.placing_in(frame))
    map_x, map_y = _dense(transform(back, rest).reshape(nodes.shape), cell, width, height)
    rgba = cv2.remap(part.sprite.rgba, map_x, map_y, cv2.INTER_LINEAR)
    if actor.roll is not None:
        sine = np.clip(rest[0] / actor.radius, -0.97, 0.97)
        rest[0] = actor.radius * (np.arcsin(sine) / 1.3 + actor.roll[frame])
        map_x, map_y = _dense(transform(back, rest).reshape(nodes.shape), cell, width, height)
        colour = cv2.remap(part.sprite.rgba, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        cv2.mixChannels([colour], [rgba], [0, 0, 1, 1, 2, 2])
    return np.asarray(rgba)


def _dense(nodes: np.ndarray, cell: int, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates at grid nodes (2, rows, columns), `cell` pixels apart -> maps of every pixel, float32 (h, w) each.

    The nodes start one cell before the window, so that linear interpolation is exact in all of it.
    """
    full = [cv2.resize(axis, None, fx=cell, fy=cell) for axis in nodes.astype(np.float32)]
    x, y = (axis[cell : cell + height, cell : cell + width] for axis in full)
    return x, y


def _blend(target: np.ndarray, rgba: np.ndarray, kernel: np.ndarray | None, soft: float, gain: float) -> None:
    """Lay a picture (h, w, 4) uint8 over `target` (h, w, 3), a view of the frame, in place."""
    # Colours go on beyond the silhouette, so that they may be blurred apart from the alpha.
    if kernel is not None:
        rgba = cv2.filter2D(rgba, -1, kernel, borderType=cv2.BORDER_REPLICATE)
    if soft > 0.35:
        rgba = cv2.GaussianBlur(rgba, (0, 0), soft)
    colour = cv2.cvtColor(rgba, cv2.COLOR_RGBA2RGB)
    if gain != 1.0:
        colour = cv2.convertScaleAbs(colour, alpha=gain)
    weight = cv2.extractChannel(rgba, 3).astype(np.float32)
    weight *= 1.0 / 255.0
    target[...] = cv2.blendLinear(colour, target, weight, 1.0 - weight)
