"""Procedural backgrounds: landscapes, streets, clutter, and plain noise."""

from __future__ import annotations

import cv2
import numpy as np

from ltr.dataset.synthetic_video.objects import paint_shape
from ltr.dataset.synthetic_video.textures import colourize, fractal, paint, palette

_SIZE = (288, 384)  # height and width in pixels


def paint_background(rng: np.random.Generator) -> np.ndarray:
    """A background -> (288, 384, 3) uint8 RGB."""
    painters = (_landscape, _street, _clutter, _haze)
    picture = painters[int(rng.choice(4, p=[0.35, 0.2, 0.3, 0.15]))](rng)
    return np.ascontiguousarray(picture)


def _haze(rng: np.random.Generator) -> np.ndarray:
    """Fractal noise, from clouds to gravel, under a gradient of light."""
    height, width = _SIZE
    level = fractal(rng, height, width, float(rng.choice([2.0, 4.0, 8.0, 16.0])), rng.uniform(0.1, 0.6))
    slope = np.linspace(-1.0, 1.0, height, dtype=np.float32)[:, None] * rng.uniform(-0.3, 0.3)
    return colourize(level + slope, palette(rng, int(rng.integers(2, 5))))


def _landscape(rng: np.random.Generator) -> np.ndarray:
    """Sky, ridges one behind the other, and a textured ground with bushes."""
    height, width = _SIZE
    sky = palette(rng, 2, vivid=rng.uniform(0.1, 0.5))
    clouds = fractal(rng, height, width, 3.0) * rng.uniform(0.0, 0.6)
    picture = colourize(clouds + np.linspace(0.0, 0.6, height, dtype=np.float32)[:, None], np.sort(sky, axis=0))
    ridges = int(rng.integers(2, 5))
    rows = np.arange(height)[:, None]
    for ridge in range(ridges):
        base = (0.25 + 0.6 * ridge / ridges + rng.uniform(-0.05, 0.05)) * height
        line = fractal(rng, 8, width, rng.uniform(2.0, 8.0))[0]
        crest = base + rng.uniform(0.05, 0.3) * height * (line - 0.5)
        # Far ridges are pale, near ones have their full colour.
        pale = 0.6 * (1.0 - ridge / ridges)
        colours = (1.0 - pale) * palette(rng, 3, vivid=rng.uniform(0.1, 0.6)) + pale * sky.mean(axis=0)
        ground = paint(rng, height, width, colours, natural=rng.uniform() < 0.85)
        picture = np.where((rows > crest)[..., None], ground, picture)
    picture = np.ascontiguousarray(picture)
    for _ in range(int(rng.integers(0, 12))):
        side = int(rng.uniform(8, 60))
        paint_shape(rng, picture, int(rng.uniform(0.3, 0.95) * height), int(rng.uniform(-0.1, 1.0) * width), side, side)
    return picture


def _street(rng: np.random.Generator) -> np.ndarray:
    """House fronts with windows over a pavement."""
    height, width = _SIZE
    ground = int(rng.uniform(0.55, 0.85) * height)
    picture = np.empty((height, width, 3), np.uint8)
    picture[:] = palette(rng, 2, vivid=0.2).max(axis=0)
    left = 0
    while left < width:
        front_w = int(rng.uniform(50, 150))
        top = int(rng.uniform(-0.1, 0.4) * height)
        right, roof = min(left + front_w, width), max(top, 0)
        colours = palette(rng, 2, vivid=rng.uniform(0.05, 0.5))
        wall = paint(rng, ground - roof, right - left, colours, natural=rng.uniform() < 0.4)
        picture[roof:ground, left:right] = wall
        _windows(rng, picture, (left, roof, right, ground))
        left = right
    picture[ground:] = paint(rng, height - ground, width, palette(rng, 2, vivid=0.1), natural=rng.uniform() < 0.7)
    return picture


def _windows(rng: np.random.Generator, picture: np.ndarray, front: tuple[int, int, int, int]) -> None:
    """A grid of windows on a front x0, y0, x1, y1, in place."""
    x0, y0, x1, y1 = front
    step_x, step_y = int(rng.uniform(18, 40)), int(rng.uniform(24, 50))
    size_x, size_y = int(rng.uniform(0.4, 0.7) * step_x), int(rng.uniform(0.4, 0.7) * step_y)
    glass = palette(rng, 3)
    for y in range(y0 + step_y // 4, y1 - size_y, step_y):
        for x in range(x0 + step_x // 4, x1 - size_x, step_x):
            colour = tuple(glass[int(rng.integers(3))].tolist())
            cv2.rectangle(picture, (x, y), (x + size_x, y + size_y), colour, -1)
            cv2.rectangle(picture, (x, y), (x + size_x, y + size_y), (40, 40, 40), 1)


def _clutter(rng: np.random.Generator) -> np.ndarray:
    """Shapes of all sizes over a texture."""
    height, width = _SIZE
    picture = paint(rng, height, width, palette(rng, 3))
    for side in np.sort(np.exp(rng.uniform(np.log(10.0), np.log(160.0), int(rng.integers(15, 45)))))[::-1]:
        tall = int(side * rng.uniform(0.6, 1.4)) + 2
        wide = int(side * rng.uniform(0.6, 1.4)) + 2
        top, left = rng.uniform(-0.1, 1.0) * height - 0.3 * side, rng.uniform(-0.1, 1.0) * width - 0.3 * side
        paint_shape(rng, picture, int(top), int(left), tall, wide)
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), float(rng.uniform(0.5, 1.2))))
