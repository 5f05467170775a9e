"""Soft silhouettes: ellipses, superellipses, blobs, polygons, limbs, as alpha maps."""

from __future__ import annotations

import cv2
import numpy as np

_HALF_TURN = np.stack([np.cos(np.linspace(0.0, np.pi, 9)), np.sin(np.linspace(0.0, np.pi, 9))], axis=1)


def radial_mask(height: int, width: int, radius: np.ndarray) -> np.ndarray:
    """A star-shaped silhouette filling a box.

    Args:
        height: rows.
        width: columns.
        radius: (N,) positive radii at N equally spaced angles, any unit: the outline is stretched to
            touch all four sides of the box.

    Returns:
        (height, width) uint8 alpha, antialiased.
    """
    angles = np.linspace(0.0, 2.0 * np.pi, len(radius), endpoint=False)
    return fill_outline(height, width, np.stack([radius * np.cos(angles), radius * np.sin(angles)], axis=1))


def fill_outline(height: int, width: int, outline: np.ndarray) -> np.ndarray:
    """Alpha map (height, width) uint8 of a closed outline (N, 2), stretched to fill the box."""
    low, high = outline.min(axis=0), outline.max(axis=0)
    unit = (outline - low) / np.maximum(high - low, 1e-9)
    # The outline runs along pixel edges: edge coordinate c is pixel-centre coordinate c - 0.5.
    points = unit * np.array([width, height]) - 0.5
    mask = np.zeros((height, width), np.uint8)
    fixed = np.round(points * 256.0).astype(np.int32)
    cv2.fillPoly(mask, [fixed[:, None, :]], 255, lineType=cv2.LINE_AA, shift=8)
    return mask


def random_radius(rng: np.random.Generator, samples: int = 64) -> np.ndarray:
    """(samples,) radii of a random ellipse, superellipse, blob or polygon."""
    angles = np.linspace(0.0, 2.0 * np.pi, samples, endpoint=False)
    kind = rng.integers(4)
    if kind == 0:
        return np.ones(samples)
    if kind == 1:
        return squared_radius(rng.uniform(2.2, 6.0), samples)
    if kind == 2:
        harmonics = np.arange(2, 7)
        weight = rng.normal(0.0, 0.5, 5) / harmonics
        wobble = np.sin(np.outer(angles, harmonics) + rng.uniform(0.0, 2.0 * np.pi, 5)) @ weight
        return np.exp(np.clip(wobble, -0.7, 0.7))
    corners = rng.integers(4, 10)
    at = np.sort(rng.uniform(0.0, 2.0 * np.pi, corners))
    at = 0.5 * at + 0.5 * np.linspace(0.0, 2.0 * np.pi, corners, endpoint=False)
    reach = rng.uniform(0.6, 1.0, corners)
    vertices = np.stack([reach * np.cos(at), reach * np.sin(at)], axis=1)
    dense = resample_polygon(vertices, samples)
    order = np.argsort(np.arctan2(dense[:, 1], dense[:, 0]) % (2.0 * np.pi))
    own = np.arctan2(dense[:, 1], dense[:, 0])[order] % (2.0 * np.pi)
    return np.interp(angles, own, np.hypot(dense[:, 0], dense[:, 1])[order], period=2.0 * np.pi)


def squared_radius(power: float, samples: int = 32) -> np.ndarray:
    """(samples,) radii of a superellipse: power 2 is a circle, large powers approach a square."""
    angles = np.linspace(0.0, 2.0 * np.pi, samples, endpoint=False)
    radius: np.ndarray = (np.abs(np.cos(angles)) ** power + np.abs(np.sin(angles)) ** power) ** (-1.0 / power)
    return radius


def resample_polygon(vertices: np.ndarray, samples: int) -> np.ndarray:
    """(samples, 2) points equally spaced along a closed polygon (N, 2)."""
    closed = np.vstack([vertices, vertices[:1]])
    length = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(closed, axis=0).T))])
    at = np.linspace(0.0, length[-1], samples, endpoint=False)
    return np.stack([np.interp(at, length, closed[:, axis]) for axis in range(2)], axis=1)


def capsule_outline(length: float, width_top: float, width_bottom: float) -> np.ndarray:
    """Outline (N, 2) of an upright limb of `length`, rounded at both ends."""
    top = -0.5 * width_top * _HALF_TURN
    bottom = 0.5 * width_bottom * _HALF_TURN
    bottom[:, 1] += length
    return np.concatenate([top, bottom])
