"""What light, lens, sensor and codec do to a whole frame."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np

from ltr.dataset.rendering.curves import CurveBank, smooth_curves
from ltr.dataset.rendering.draw import motion_kernel

_TILE = 1024
_TILE_STD = 36.0  # grey levels: 3.5 standard deviations fit into a byte


@dataclass(frozen=True, eq=False)
class Look:
    """The look of one sequence of F frames.

    Attributes:
        gain: (F, 3) factors per colour.
        offset: (F,) added grey levels (haze, low contrast).
        gamma: (F,) exponents.
        shade: (F, gh, gw) coarse map of factors, uneven light and passing shadows; or None.
        defocus: (F,) standard deviation of the blur in pixels.
        shake: (F, 2) pixels by which the camera moves while the shutter is open.
        reduce: share of the resolution that is left after scaling down and up, in (0, 1].
        noise: standard deviation of the noise in grey levels.
        coarse: whether the noise is blotchy, as after a codec, instead of independent pixels.
        quality: JPEG quality, or None.
        grey: whether the video is black and white.
    """

    gain: np.ndarray
    offset: np.ndarray
    gamma: np.ndarray
    shade: np.ndarray | None
    defocus: np.ndarray
    shake: np.ndarray
    reduce: float
    noise: float
    coarse: bool
    quality: int | None
    grey: bool


def random_look(rng: np.random.Generator, curves: CurveBank, strength: float, shake: np.ndarray) -> Look:
    """Draw the look of a sequence.

    Args:
        rng: source of randomness.
        curves: of this sequence, F frames long.
        strength: 0 (clean) to 1 (as bad as surveillance video gets) and somewhat beyond.
        shake: (F, 2) camera movement per frame, blurred by a random shutter.
    """
    light, cast_r, cast_b, haze, bend, focus = curves.take(6)
    colour = rng.normal(0.0, 0.08 * strength, 3)
    gain = np.exp(0.25 * strength * rng.uniform() * light[:, None] + rng.normal(0.0, 0.15 * strength) + colour)
    gain[:, 0] *= 1.0 + 0.08 * strength * cast_r
    gain[:, 2] *= 1.0 + 0.08 * strength * cast_b
    contrast = 1.0 - 0.6 * strength * rng.uniform() ** 2
    offset = (1.0 - contrast) * rng.uniform(40.0, 190.0) + 8.0 * strength * haze
    shade = _random_shade(rng, len(light), strength) if rng.uniform() < 0.35 * strength else None
    blur = 1.6 * strength * rng.uniform() ** 3
    shutter = rng.uniform(0.2, 0.8) if rng.uniform() < 0.4 * strength else 0.0
    return Look(
        gain=gain * contrast,
        offset=offset,
        gamma=np.exp(strength * (rng.normal(0.0, 0.2) + 0.1 * bend)),
        shade=shade,
        defocus=np.maximum(blur * (1.0 + 0.8 * focus), 0.0),
        shake=shutter * shake,
        reduce=rng.uniform(0.4, 0.9) if rng.uniform() < 0.25 * strength else 1.0,
        noise=9.0 * strength * rng.uniform() ** 2,
        coarse=bool(rng.uniform() < 0.4),
        quality=int(rng.integers(30, 96)) if rng.uniform() < 0.55 * min(strength, 1.0) else None,
        grey=bool(rng.uniform() < 0.1 * strength),
    )


def _random_shade(rng: np.random.Generator, num_frames: int, strength: float) -> np.ndarray:
    """(F, 9, 12) factors: a lit side and a soft dark band that moves through the picture."""
    y, x = np.mgrid[-1.0:1.0:9j, -1.0:1.0:12j]
    turn = rng.uniform(0.0, 2.0 * np.pi)
    along = x * np.cos(turn) + y * np.sin(turn)
    sway, depth = smooth_curves(rng, 2, num_frames, (40.0, 300.0))
    slope = 0.3 * strength * rng.uniform(-1.0, 1.0) * along
    band = np.exp(-(((along - 1.3 * sway[:, None, None]) / rng.uniform(0.2, 0.6)) ** 2))
    dark = 0.5 * strength * rng.uniform() * (1.0 + 0.3 * depth[:, None, None])
    return (1.0 + slope) * (1.0 - dark * band)


@lru_cache(maxsize=2)
def _noise_tile(coarse: bool) -> np.ndarray:
    """(1024, 1024, 3) uint8 noise about 128, the same in every process."""
    rng = np.random.Generator(np.random.PCG64(20_240_229))
    tile: Any = rng.standard_normal((_TILE, _TILE, 3), dtype=np.float32)
    if coarse:
        tile = cv2.GaussianBlur(tile, (0, 0), 1.1, borderType=cv2.BORDER_REFLECT)
        tile += 0.6 * tile.mean(axis=2, keepdims=True)
        tile /= tile.std()
    tile = np.clip(np.round(128.0 + _TILE_STD * tile), 0, 255).astype(np.uint8)
    tile.flags.writeable = False
    return tile


def apply_look(frame: np.ndarray, look: Look, index: int, rng: np.random.Generator) -> np.ndarray:
    """The frame as the camera delivers it.

    Args:
        frame: (H, W, 3) uint8 RGB.
        look: of the sequence.
        index: frame number.
        rng: of this frame alone (noise).

    Returns:
        (H, W, 3) uint8 RGB, a new array.
    """
    height, width = frame.shape[:2]
    kernel = motion_kernel(look.shake[index], 6.0)
    if kernel is not None:
        frame = cv2.filter2D(frame, -1, kernel, borderType=cv2.BORDER_REFLECT)
    if look.defocus[index] > 0.35:
        frame = cv2.GaussianBlur(frame, (0, 0), float(look.defocus[index]))
    if look.shade is not None:
        shade = cv2.resize(look.shade[index].astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
        frame = cv2.multiply(frame, cv2.merge([shade] * 3), dtype=cv2.CV_8U)
    frame = cv2.LUT(frame, _tone_table(look, index))
    if look.grey:
        frame = cv2.merge([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)] * 3)
    if look.reduce < 1.0:
        small = (max(int(width * look.reduce), 8), max(int(height * look.reduce), 8))
        frame = cv2.resize(cv2.resize(frame, small, interpolation=cv2.INTER_AREA), (width, height))
    if look.noise > 0.5:
        frame = _add_noise(frame, look, rng)
    if look.quality is not None:
        frame = _through_jpeg(frame, look.quality)
    return frame


def _through_jpeg(frame: np.ndarray, quality: int) -> np.ndarray:
    """What is left of a frame (H, W, 3) uint8 RGB after JPEG compression."""
    bgr = cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)
    _, code = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded: Any = cv2.imdecode(code, cv2.IMREAD_COLOR)
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB))


def _tone_table(look: Look, index: int) -> np.ndarray:
    """(1, 256, 3) uint8 table of the tone curve of one frame."""
    level = (np.arange(256.0)[:, None] / 255.0) ** look.gamma[index]
    tone = 255.0 * level * look.gain[index] + look.offset[index]
    return np.clip(np.round(tone), 0, 255).astype(np.uint8)[None]


def _add_noise(frame: np.ndarray, look: Look, rng: np.random.Generator) -> np.ndarray:
    """Sensor noise from a window of a fixed tile: drawing it anew costs more than the whole frame."""
    height, width = frame.shape[:2]
    tile = _noise_tile(look.coarse)
    if height >= _TILE or width >= _TILE:
        y, x = rng.integers(0, _TILE, 2)
        tile = tile.take(np.arange(y, y + height), 0, mode="wrap").take(np.arange(x, x + width), 1, mode="wrap")
    else:
        y, x = rng.integers(0, _TILE - height), rng.integers(0, _TILE - width)
        tile = tile[y : y + height, x : x + width]
    if look.grey:
        tile = cv2.merge([np.ascontiguousarray(tile[..., 0])] * 3)
    strength = look.noise / _TILE_STD
    return np.asarray(cv2.addWeighted(frame, 1.0, tile, strength, -128.0 * strength))
