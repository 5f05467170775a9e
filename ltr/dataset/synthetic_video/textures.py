"""Procedural textures: fractal noise, stripes, checks, dots, gradients, brickwork."""

from __future__ import annotations

import colorsys
from functools import lru_cache

import cv2
import numpy as np

_TILE = 1024
_TILE_CELLS = 16  # cells of the tile's coarsest octave along its side


@lru_cache(maxsize=1)
def _noise_tiles() -> list[np.ndarray]:
    """Fractal noise of about unit variance, (1024, 1024) float32 and reduced to halves; the same in every process."""
    rng = np.random.Generator(np.random.PCG64(31_415))
    tile: np.ndarray = np.zeros((_TILE, _TILE), np.float32)
    weight, cells = 1.0, _TILE_CELLS
    while cells <= _TILE // 2:
        octave = rng.standard_normal((cells, cells), dtype=np.float32)
        tile = tile + weight * cv2.resize(octave, (_TILE, _TILE), interpolation=cv2.INTER_CUBIC)
        weight, cells = 0.6 * weight, 2 * cells
    tiles = [np.asarray(tile / tile.std(), dtype=np.float32)]
    while len(tiles[-1]) > 4 * _TILE_CELLS:
        side = len(tiles[-1]) // 2
        tiles.append(np.asarray(cv2.resize(tiles[-1], (side, side), interpolation=cv2.INTER_AREA)))
    return tiles


def _noise_window(rng: np.random.Generator, height: int, width: int, cells: float) -> np.ndarray:
    """A random window of the tile with about `cells` coarse cells along its longer side, scaled to (height, width)."""
    longest, tiles = max(height, width), _noise_tiles()
    share = min(cells / _TILE_CELLS, 0.999)
    level = min(max(int(np.log2(share * _TILE / longest)), 0), len(tiles) - 1)
    tile = tiles[level]
    rows, columns = (max(int(share * len(tile) * side / longest), 2) for side in (height, width))
    top, left = (int(rng.uniform() * (len(tile) - side)) for side in (rows, columns))
    window = cv2.resize(tile[top : top + rows, left : left + columns], (width, height), interpolation=cv2.INTER_LINEAR)
    flip = int(rng.integers(-1, 3))
    return np.asarray(window if flip == 2 else cv2.flip(window, flip))


def fractal(rng: np.random.Generator, height: int, width: int, cells: float = 4.0, rough: float = 0.3) -> np.ndarray:
    """Noise whose detail falls off with its scale -> (height, width) float32 in [0, 1].

    Windows of one fixed tile: adding octaves anew for every texture takes longer than all the rest of a scene.

    Args:
        rng: source of randomness.
        height: rows.
        width: columns.
        cells: coarse cells along the longer side.
        rough: share of finer noise mixed in.
    """
    out = _noise_window(rng, height, width, cells) + rough * _noise_window(rng, height, width, 4.0 * cells)
    low, high = float(out.min()), float(out.max())
    level: np.ndarray = (out - low) / max(high - low, 1e-6)
    return level


def palette(rng: np.random.Generator, count: int, vivid: float | None = None) -> np.ndarray:
    """Colours that go together -> (count, 3) float32 RGB in 0..255.

    Args:
        rng: source of randomness.
        count: number of colours.
        vivid: saturation in [0, 1], None for a random one.
    """
    hue, spread = rng.uniform(), rng.choice([0.04, 0.12, 0.5])
    saturation = rng.uniform(0.05, 0.9) if vivid is None else vivid
    values = np.linspace(rng.uniform(0.1, 0.45), rng.uniform(0.55, 1.0), count)
    colours = [
        colorsys.hsv_to_rgb(
            (hue + spread * rng.uniform(-1.0, 1.0)) % 1.0,
            min(1.0, max(0.0, saturation + rng.normal(0.0, 0.1))),
            float(value),
        )
        for value in rng.permutation(values)
    ]
    return (255.0 * np.array(colours)).astype(np.float32)


def colourize(level: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """Values (h, w) in [0, 1] through a ramp of colours (k, 3) -> (h, w, 3) uint8."""
    stops = np.linspace(0.0, 255.0, len(colours))
    table = np.stack([np.interp(np.arange(256), stops, colours[:, channel]) for channel in range(3)], axis=1)
    index = np.clip(255.0 * level, 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(cv2.merge([index] * 3), table.astype(np.uint8)[None]))


def paint(rng: np.random.Generator, height: int, width: int, colours: np.ndarray, natural: bool = False) -> np.ndarray:
    """A random texture in the given colours (k, 3), k >= 2 -> (height, width, 3) uint8; natural: noise only."""
    if natural:
        return colourize(fractal(rng, height, width, rng.uniform(2.0, 16.0), rng.uniform(0.2, 0.9)), colours)
    kind = int(rng.integers(7))
    y, x = np.mgrid[0:height, 0:width].astype(np.float32) / max(height, width)
    turn = rng.uniform(0.0, np.pi)
    along = x * np.cos(turn) + y * np.sin(turn)
    across = y * np.cos(turn) - x * np.sin(turn)
    if kind == 0:
        level = along * rng.uniform(0.5, 1.0) + 0.3
    elif kind == 1:
        level = 0.5 + 0.5 * np.tanh(3.0 * np.sin(2.0 * np.pi * rng.uniform(2.0, 9.0) * along))
    elif kind == 2:
        cells = rng.uniform(2.0, 7.0)
        level = (np.floor(cells * along) + np.floor(cells * across)) % 2
    elif kind == 3:
        cells = rng.uniform(3.0, 8.0)
        spot = np.hypot((cells * along) % 1.0 - 0.5, (cells * across) % 1.0 - 0.5)
        level = 0.5 - 0.5 * np.tanh(12.0 * (spot - rng.uniform(0.2, 0.4)))
    elif kind == 4:
        rows = rng.uniform(4.0, 9.0)
        line = np.floor(rows * across)
        joint = (((rows * across) % 1.0) < 0.15) | (((0.5 * rows * along + 0.5 * (line % 2)) % 1.0) < 0.08)
        level = np.where(joint, 0.0, 0.8)
    else:
        level = fractal(rng, height, width, rng.uniform(2.0, 10.0), rng.uniform(0.1, 0.6))
        if kind == 6:
            level = (4.0 * level) % 1.0
    grain = _noise_window(rng, height, width, 16.0)
    return colourize(level.astype(np.float32) + rng.uniform(0.01, 0.06) * grain, colours)
