"""What the tests of the pooling share: the back ends that are there, boxes of every kind, an independent reference."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from prroi_pool import compiled


@pytest.fixture(scope="session", params=["exact", "compiled"])
def backend(request: pytest.FixtureRequest) -> str:
    """Every back end for the CPU; the compiled one only where it is built."""
    if request.param == "compiled":
        reasons = {status.name: status.reason for status in compiled.status()}
        if reasons["cpu"]:
            pytest.skip(reasons["cpu"])
    return request.param


# Name -> rows [batch_index, x0, y0, x1, y1] for two maps of 7 x 9 cells at scale 1.
BOXES: dict[str, list[list[float]]] = {
    "inside": [[0, 1.3, 0.7, 6.2, 5.1], [1, 2.45, 1.15, 4.9, 5.85]],
    "inside one cell": [[1, 3.1, 2.2, 3.4, 2.9], [0, 5.6, 4.3, 5.95, 4.35]],
    "partly outside": [[0, -2.4, -3.3, 3.7, 2.6], [1, 5.2, 3.3, 14.1, 11.9], [0, -3.1, -3.7, 13.4, 9.2]],
    "wholly outside": [[0, -9.5, 1.2, -1.7, 4.4], [1, 2.2, 8.3, 6.1, 12.6], [1, 30.5, 40.5, 50.5, 60.5]],
    "on whole cells": [[0, 1, 2, 7, 5], [1, 0, 0, 8, 6], [0, 3, 3, 4, 4], [1, -1, -1, 9, 7], [0, 2, 1, 2.5, 6]],
    "symmetric about a cell": [[0, 2.5, 1.5, 5.5, 4.5], [1, 3.7, 2.7, 4.3, 3.3]],
    "images in any order": [[1, 0.2, 0.3, 4.4, 5.5], [0, 1.1, 1.2, 3.3, 3.4], [1, 2.2, 0.1, 7.7, 4.2]],
}


@pytest.fixture(scope="session", params=BOXES)
def boxes(request: pytest.FixtureRequest) -> Tensor:
    """Every kind of box: ``(R, 5)`` float64 for two maps of 7 x 9 cells at scale 1."""
    return torch.tensor(BOXES[request.param], dtype=torch.float64)


@pytest.fixture(scope="session")
def make_features() -> Callable[..., Tensor]:
    """`make_features(images, channels, height, width, seed)`: normal noise in float64."""

    def make(images: int = 2, channels: int = 3, height: int = 7, width: int = 9, seed: int = 0) -> Tensor:
        random = torch.Generator().manual_seed(seed)
        return torch.randn(images, channels, height, width, generator=random, dtype=torch.float64)

    return make


@pytest.fixture(scope="session")
def make_boxes() -> Callable[..., Tensor]:
    """`make_boxes(count, images, extent, seed)`: corners in [-0.2, 1] times the extent, sides up to 0.8 times."""

    def make(count: int, images: int = 1, extent: float = 8.0, seed: int = 0) -> Tensor:
        random = torch.Generator().manual_seed(seed)
        index = torch.randint(images, (count, 1), generator=random).double()
        corners = extent * (1.2 * torch.rand(count, 2, generator=random, dtype=torch.float64) - 0.2)
        sizes = extent * (0.01 + 0.79 * torch.rand(count, 2, generator=random, dtype=torch.float64))
        return torch.cat([index, corners, corners + sizes], dim=1)

    return make


@pytest.fixture(scope="session")
def quadrature() -> Callable[..., Tensor]:
    """The independent reference `quadrature(features, rois, pooled_height, pooled_width, scale)`, in float64."""
    return integrate


def integrate(features: Tensor, rois: Tensor, pooled_height: int, pooled_width: int, scale: float = 1.0) -> Tensor:
    """The pooling by sampling: bins cut at whole coordinates, two Gauss-Legendre points per piece and axis.

    The interpolated map is bilinear on such a piece, so this is exact, and it knows nothing of hat functions. Bins of
    boxes without area are 0. Takes and gives float64; ``features (N, C, H, W)``, ``rois (R, 5)``.
    """
    maps, height, width = features.numpy(), features.shape[2], features.shape[3]
    out = np.zeros((len(rois), features.shape[1], pooled_height, pooled_width))
    for roi, (index, x0, y0, x1, y1) in enumerate(rois.tolist()):
        if not (x1 > x0 and y1 > y0):
            continue
        columns = [_points(edges, width) for edges in _bins(x0 * scale, x1 * scale, pooled_width)]
        rows = [_points(edges, height) for edges in _bins(y0 * scale, y1 * scale, pooled_height)]
        for p, (y, y_shares) in enumerate(rows):
            for q, (x, x_shares) in enumerate(columns):
                values = _interpolate(maps[int(index)], y, x)
                out[roi, :, p, q] = np.einsum("cyx,y,x->c", values, y_shares, x_shares)
    return torch.from_numpy(out)


def _bins(low: float, high: float, bins: int) -> list[tuple[float, float]]:
    size = (high - low) / bins
    return [(low + k * size, low + (k + 1) * size) for k in range(bins)]


def _points(edges: tuple[float, float], cells: int) -> tuple[np.ndarray, np.ndarray]:
    """Where to sample between two edges, and each sample's share of the mean; nowhere outside the map."""
    low, high = edges
    cuts = np.arange(-1, cells + 1)
    cuts = np.unique(np.concatenate([cuts[(cuts > low) & (cuts < high)], np.clip([low, high], -1, cells)]))
    middles, halves = (cuts[1:] + cuts[:-1]) / 2, (cuts[1:] - cuts[:-1]) / 2
    points = np.concatenate([middles - halves / np.sqrt(3), middles + halves / np.sqrt(3)])
    return points, np.concatenate([halves, halves]) / (high - low)


def _interpolate(image: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """``(C, H, W)`` interpolated at the points of a grid; ``(C, len(y), len(x))``."""
    padded = np.pad(image, ((0, 0), (1, 2), (1, 2)))  # a row and a column of zeros more, for a point on the last one
    top, left = np.floor(y).astype(int), np.floor(x).astype(int)
    down, right = (y - top)[:, None], x - left
    upper, lower = padded[:, top + 1], padded[:, top + 2]
    rows = [row[..., left + 1] * (1 - right) + row[..., left + 2] * right for row in (upper, lower)]
    return rows[0] * (1 - down) + rows[1] * down
