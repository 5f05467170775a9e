"""Procedural objects: shaded bodies of random shape and texture, some with a face or smaller parts."""

from __future__ import annotations

import cv2
import numpy as np

from ltr.dataset.rendering.shapes import fill_outline, radial_mask, random_radius
from ltr.dataset.synthetic_video.textures import paint, palette

_SIDE = 144  # pixels of the longer side; scaled down to what a scene needs
_BORDER = 24  # pixels around the object that show its texture continued, for a body that rolls


def paint_object(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """An object -> its picture (h, w, 3) and alpha (h, w), uint8, transparent on the border."""
    aspect = float(np.exp(np.clip(rng.normal(0.0, 0.35), -0.9, 0.9)))
    height, width = (_SIDE, round(_SIDE / aspect)) if aspect > 1.0 else (round(_SIDE * aspect), _SIDE)
    colours = palette(rng, int(rng.integers(2, 5)))
    rgb = paint(rng, height + 2 * _BORDER, width + 2 * _BORDER, colours)
    mask = _silhouette(rng, height, width)
    inner = rgb[_BORDER : _BORDER + height, _BORDER : _BORDER + width]
    if rng.uniform() < 0.3:
        _add_face(rng, inner, mask)
    else:
        _add_patches(rng, inner, mask)
    alpha = cv2.copyMakeBorder(mask, _BORDER, _BORDER, _BORDER, _BORDER, cv2.BORDER_CONSTANT, value=0)
    return _shade(rng, rgb, alpha), alpha


def _silhouette(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """(height, width) uint8: a star-shaped outline, or a body with a few bulges."""
    if rng.uniform() < 0.6:
        return radial_mask(height, width, random_radius(rng))
    mask = np.zeros((height, width), np.uint8)
    for _ in range(int(rng.integers(2, 5))):
        centre = (round(rng.uniform(0.35, 0.65) * width), round(rng.uniform(0.35, 0.65) * height))
        axes = (round(rng.uniform(0.15, 0.5) * width), round(rng.uniform(0.15, 0.5) * height))
        cv2.ellipse(mask, centre, axes, float(rng.uniform(0.0, 180.0)), 0.0, 360.0, 255, -1, cv2.LINE_AA)
    left, top, found_w, found_h = cv2.boundingRect(mask)
    return np.asarray(cv2.resize(mask[top : top + found_h, left : left + found_w], (width, height)))


def _add_face(rng: np.random.Generator, rgb: np.ndarray, mask: np.ndarray) -> None:
    """Eyes, mouth and hair, in place; nothing to be proud of, but they have the layout of a face."""
    height, width = mask.shape
    skin = palette(rng, 2, vivid=rng.uniform(0.2, 0.5)).mean(axis=0)
    rgb[:] = (0.25 * rgb + 0.75 * skin).astype(np.uint8)
    hair = tuple(palette(rng, 3)[0].tolist())
    rgb[: int(rng.uniform(0.15, 0.35) * height)] = hair
    eye_y, apart = rng.uniform(0.4, 0.48) * height, rng.uniform(0.15, 0.22) * width
    for sign in (-1.0, 1.0):
        centre = (round(0.5 * width + sign * apart), round(eye_y))
        size = (max(round(0.09 * width), 2), max(round(0.055 * height), 2))
        cv2.ellipse(rgb, centre, size, 0.0, 0.0, 360.0, (245, 245, 245), -1, cv2.LINE_AA)
        cv2.circle(rgb, centre, max(round(0.04 * width), 1), (30, 25, 20), -1, cv2.LINE_AA)
    mouth = (round(0.5 * width), round(rng.uniform(0.68, 0.76) * height))
    size = (round(rng.uniform(0.12, 0.2) * width), max(round(rng.uniform(0.02, 0.07) * height), 1))
    cv2.ellipse(rgb, mouth, size, 0.0, 0.0, 360.0, (150, 50, 50), -1, cv2.LINE_AA)


def _add_patches(rng: np.random.Generator, rgb: np.ndarray, mask: np.ndarray) -> None:
    """Smaller parts in other textures (windows, badges, spots), in place."""
    height, width = mask.shape
    for _ in range(int(rng.integers(0, 5))):
        box_h, box_w = int(rng.uniform(0.12, 0.4) * height), int(rng.uniform(0.12, 0.4) * width)
        top, left = int(rng.integers(height - box_h)), int(rng.integers(width - box_w))
        patch = paint(rng, box_h, box_w, palette(rng, 2))
        weight = radial_mask(box_h, box_w, random_radius(rng))[..., None] / 255.0
        window = rgb[top : top + box_h, left : left + box_w]
        window[:] = (window + weight * (patch.astype(np.float32) - window)).astype(np.uint8)


def _shade(rng: np.random.Generator, rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Light from one side and a darker rim, so that the object looks solid."""
    small = cv2.resize(alpha, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    depth = cv2.distanceTransform((small > 127).astype(np.uint8), cv2.DIST_L2, 3)
    depth = np.sqrt(np.minimum(depth / max(float(depth.max()), 1.0), 1.0))
    turn = rng.uniform(0.0, 2.0 * np.pi)
    slope = np.cos(turn) * cv2.Sobel(depth, cv2.CV_32F, 1, 0) + np.sin(turn) * cv2.Sobel(depth, cv2.CV_32F, 0, 1)
    light = 0.75 + 0.35 * depth + rng.uniform(0.0, 0.3) * np.clip(cv2.GaussianBlur(slope, (0, 0), 2.0), -1.0, 1.0)
    light = cv2.resize(light, rgb.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return np.clip(rgb * light[..., None], 0, 255).astype(np.uint8)


def paint_shape(rng: np.random.Generator, canvas: np.ndarray, top: int, left: int, height: int, width: int) -> None:
    """A textured polygon or blob laid over a picture, in place; it may reach over the border."""
    y0, x0 = max(top, 0), max(left, 0)
    y1, x1 = min(top + height, canvas.shape[0]), min(left + width, canvas.shape[1])
    if y1 <= y0 or x1 <= x0:
        return
    texture = paint(rng, height, width, palette(rng, int(rng.integers(2, 4))))
    corners = rng.uniform(0.0, 1.0, (int(rng.integers(3, 6)), 2))
    round_one = rng.uniform() < 0.6 or len(cv2.convexHull((100 * corners).astype(np.int32))) < len(corners)
    mask = radial_mask(height, width, random_radius(rng)) if round_one else fill_outline(height, width, corners)
    rows, columns = slice(y0 - top, y1 - top), slice(x0 - left, x1 - left)
    weight = mask[rows, columns, None].astype(np.float32) / 255.0
    window = canvas[y0:y1, x0:x1]
    window[:] = (window + weight * (texture[rows, columns].astype(np.float32) - window)).astype(np.uint8)
