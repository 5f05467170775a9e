"""Movement of the camera over the background."""

from __future__ import annotations

import numpy as np

from ltr.dataset.rendering.curves import CurveBank, smooth_curves
from ltr.dataset.rendering.geometry import Poses


def hand_shake(rng: np.random.Generator, num_frames: int) -> np.ndarray:
    """(F, 2) unsteadiness of the hand that holds the camera, pixels; next to none in many sequences."""
    fast = smooth_curves(rng, 2, num_frames, (5.0, 25.0))
    return (4.0 * rng.uniform() ** 2 * fast).T


def camera_move(
    rng: np.random.Generator, curves: CurveBank, photo: tuple[int, int], size: tuple[int, int], shake: np.ndarray
) -> Poses:
    """Pan, zoom, roll and a little perspective.

    Args:
        rng: source of randomness.
        curves: slow curves of this sequence.
        photo: height and width of the background in pixels.
        size: height and width of the frames in pixels.
        shake: (F, 2) pixels added to the movement.

    Returns:
        Background pixels to frame pixels; the background may have to be continued beyond its border.
    """
    pan_x, pan_y, zoom, turn, yaw, pitch = curves.take(6)
    amount = 0.15 if rng.uniform() < 0.3 else 1.0  # a camera on a tripod, or in the hand
    cover = max(size[1] / photo[1], size[0] / photo[0])
    scale = cover * np.exp(rng.uniform(-0.15, 0.45) + 0.15 * amount * rng.uniform() * zoom)
    room = np.stack([scale * photo[1] - 0.8 * size[1], scale * photo[0] - 0.8 * size[0]], axis=1)
    pan = 0.5 * amount * np.maximum(room, 0.0) * np.stack([pan_x, pan_y], axis=1)
    return Poses(
        centre=np.array([0.5 * size[1], 0.5 * size[0]]) + pan + shake,
        scale=np.stack([scale, scale], axis=1),
        angle=rng.normal(0.0, 0.05) + 0.12 * amount * rng.uniform() * turn,
        yaw=0.15 * amount * yaw,
        pitch=0.15 * amount * pitch,
        focal=2.5 * float(scale.max()) * max(photo),
        origin=(0.5 * photo[1], 0.5 * photo[0]),
    )
