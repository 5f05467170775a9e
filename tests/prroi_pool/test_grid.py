"""The path for boxes on a grid gives what the path for any boxes gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from prroi_pool import prroi_pool2d, prroi_pool_grid

Make = Callable[..., Tensor]


class Grid(NamedTuple):
    """Boxes ``[x0[n, j], y0[n, i], x0[n, j] + w[n], y0[n, i] + h[n]]`` in image units.

    Attributes:
        x0: ``(N, Gx)``.
        y0: ``(N, Gy)``.
        roi_size: ``(N, 2)``.
    """

    x0: Tensor
    y0: Tensor
    roi_size: Tensor

    def rois(self) -> Tensor:
        """``(N * Gy * Gx, 5)``, differentiable."""
        images, columns = self.x0.shape
        rows = self.y0.shape[1]
        shape = (images, rows, columns)
        index = torch.arange(images, dtype=self.x0.dtype)[:, None, None].expand(shape)
        x, y = self.x0[:, None, :].expand(shape), self.y0[:, :, None].expand(shape)
        w, h = (side[:, None, None].expand(shape) for side in self.roi_size.unbind(1))
        return torch.stack([index, x, y, x + w, y + h], dim=3).reshape(-1, 5)


def grid(x0: list[list[float]], y0: list[list[float]], roi_size: list[list[float]]) -> Grid:
    return Grid(*(torch.tensor(values, dtype=torch.float64) for values in (x0, y0, roi_size)))


GRIDS = {
    "one image": grid([[10, 30, 50, 70]], [[20, 35, 50]], [[40, 31]]),
    "images of their own": grid([[1, 2, 3], [30, 21, 12]], [[4, 9], [40, 41.5]], [[8, 16], [33, 7.7]]),
    "uneven, crossing, equal": grid([[3, 50, 51, 51, -4]], [[60, 1]], [[25, 25]]),
    "partly and wholly outside": grid([[-60, -20, 40, 70, 100]], [[-25, -3.3, 60, 200]], [[33, 44]]),
    "on whole cells": grid([[0, 8, 16, 24]], [[-8, 0, 40]], [[24, 16]]),
    "no area": grid([[8, 16], [8, 16]], [[8], [8]], [[0, 16], [16, -8]]),
    "one box": grid([[11]], [[13]], [[17, 19]]),
    "larger than the map": grid([[-500, -400]], [[-450, -333]], [[1000, 1200]]),
    "tiny": grid([[10, 20.5]], [[30, 8]], [[1e-4, 1e-6]]),
    "no boxes": grid([[], []], [[1], [2]], [[3, 4], [5, 6]]),
}


@pytest.fixture(params=GRIDS)
def boxes(request: pytest.FixtureRequest) -> Grid:
    return Grid(*(tensor.clone().requires_grad_() for tensor in GRIDS[request.param]))


@pytest.mark.parametrize("bins", [(3, 3), (1, 4)], ids=str)
def test_same_values_and_gradients_as_box_by_box(
    boxes: Grid, bins: tuple[int, int], backend: str, make_features: Make
) -> None:
    features = make_features(len(boxes.x0), 2, 8, 10).requires_grad_()
    pooled = prroi_pool_grid(features, *boxes, *bins, 1 / 8, backend=backend)
    assert pooled.shape == (len(features), boxes.y0.shape[1], boxes.x0.shape[1], 2, *bins)
    expected = prroi_pool2d(features, boxes.rois(), *bins, 1 / 8, backend="exact")
    torch.testing.assert_close(pooled.flatten(0, 2), expected, rtol=0, atol=1e-12)

    seed = torch.randn(pooled.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    inputs = (features, *boxes)
    found = torch.autograd.grad(pooled, inputs, seed)
    right = torch.autograd.grad(expected, inputs, seed.flatten(0, 2))
    for name, one, other in zip(("features", *Grid._fields), found, right, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_lower_precision_is_that_of_box_by_box(dtype: torch.dtype, backend: str, make_features: Make) -> None:
    """With boxes in float32 beside half precision features."""
    features = make_features(1, 4, 8, 10).to(dtype)
    boxes = Grid(*(tensor.float() for tensor in GRIDS["one image"]))
    pooled = prroi_pool_grid(features, *boxes, 3, 3, 1 / 8, backend=backend)
    assert pooled.dtype == dtype
    expected = prroi_pool2d(features, boxes.rois(), 3, 3, 1 / 8, backend="exact")
    tolerance = 1e-6 if dtype == torch.float32 else 2 * torch.finfo(dtype).eps
    torch.testing.assert_close(pooled.flatten(0, 2), expected, rtol=tolerance, atol=tolerance)


def test_half_precision_boxes_are_added_up_in_float32(backend: str, make_features: Make) -> None:
    """300 + 4.5 is no number in bfloat16; and of 300 images the last ones have no number there either."""
    features = make_features(300, 1, 6, 40).bfloat16()
    x0, y0 = torch.full((300, 1), 300.0).bfloat16(), torch.ones(300, 1).bfloat16()
    roi_size = torch.tensor([[4.5, 3.0]]).expand(300, 2).bfloat16()
    pooled = prroi_pool_grid(features, x0, y0, roi_size, 2, 2, 1 / 8, backend=backend)
    expected = prroi_pool2d(features.float(), Grid(x0.float(), y0.float(), roi_size.float()).rois(), 2, 2, 1 / 8)
    torch.testing.assert_close(pooled.flatten(0, 2), expected.bfloat16(), rtol=1e-2, atol=1e-2)


def test_dcfst_grid(backend: str, make_features: Make) -> None:
    """31 x 31 boxes of 80 pixels over an image of 288, as many as DCFST has."""
    corners = torch.linspace(-11, 219, 31)[None]
    boxes = Grid(corners, corners, torch.tensor([[80.0, 80.0]]))
    features = make_features(1, 4, 18, 18).float()
    pooled = prroi_pool_grid(features, *boxes, 4, 4, 1 / 16, backend=backend)
    expected = prroi_pool2d(features, boxes.rois(), 4, 4, 1 / 16)
    torch.testing.assert_close(pooled.reshape(961, 4, 4, 4), expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize(("images", "channels"), [(0, 2), (1, 0)])
def test_empty_maps(images: int, channels: int, backend: str) -> None:
    features, two = torch.zeros(images, channels, 4, 5), torch.ones(images, 2)
    pooled = prroi_pool_grid(features, torch.ones(images, 3), two, two, 2, 2, backend=backend)
    assert pooled.shape == (images, 2, 3, channels, 2, 2)


def _wrong(**changed: Tensor) -> list[Tensor]:
    right = {"features": torch.zeros(2, 3, 6, 6), "x0": torch.zeros(2, 4), "y0": torch.zeros(2, 5),
             "roi_size": torch.ones(2, 2)}  # fmt: skip
    return list({**right, **changed}.values())


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        (_wrong(features=torch.zeros(3, 6, 6)), ValueError, r"features must be \(N, C, H, W\), not \(3, 6, 6\)"),
        (_wrong(x0=torch.zeros(4)), ValueError, r"x0 must be \(N, Gx\) with N = 2 images, not \(4,\)"),
        (_wrong(x0=torch.zeros(3, 4)), ValueError, r"x0 must be .* N = 2 images, not \(3, 4\)"),
        (_wrong(y0=torch.zeros(1, 4)), ValueError, r"y0 must be \(N, Gy\)"),
        (_wrong(roi_size=torch.ones(2, 4)), ValueError, r"roi_size must be \(N, 2\) .*, not \(2, 4\)"),
        (_wrong(roi_size=torch.ones(2)), ValueError, r"roi_size must be \(N, 2\)"),
        (_wrong(y0=torch.zeros(2, 5).double()), TypeError, r"y0 is torch.float64 .*: use y0.to\(features.dtype\)"),
        (_wrong(x0=torch.zeros(2, 4, device="meta")), ValueError, r"x0 is on meta but features is on cpu"),
        (_wrong(x0=torch.full((2, 4), torch.nan)), ValueError, r"x0 holds NaN or infinite values"),
        (_wrong(roi_size=torch.full((2, 2), torch.inf)), ValueError, r"roi_size holds NaN or infinite values"),
        (_wrong(y0=[[1.0]]), TypeError, r"y0 must be a tensor, not list"),
    ],
)
def test_errors_name_the_argument(given: list[Tensor], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        prroi_pool_grid(*given, 2, 2)


def test_sizes_are_checked_as_for_any_boxes() -> None:
    with pytest.raises(ValueError, match="pooled_width must be at least 1, not 0"):
        prroi_pool_grid(*_wrong(), 2, 0)
    with pytest.raises(ValueError, match="spatial_scale must be positive and finite"):
        prroi_pool_grid(*_wrong(), 2, 2, -0.125)
    with pytest.raises(ValueError, match="backend must be one of auto, exact, compiled, not 'fast'"):
        prroi_pool_grid(*_wrong(), 2, 2, backend="fast")


def test_unchecked_values_give_nan() -> None:
    pooled = prroi_pool_grid(*_wrong(x0=torch.full((2, 4), torch.nan)), 2, 2, backend="exact", check_values=False)
    assert pooled.isnan().all()
