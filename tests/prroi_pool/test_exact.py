"""The pooling against an independent numerical integration, and its derivatives of first and second order."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import pytest
import torch
from torch import Tensor

from prroi_pool import exact as module
from prroi_pool import prroi_pool2d, prroi_pool_grid
from prroi_pool.exact import axis_weights, bin_weights, pool_exact

Make = Callable[..., Tensor]
BINS = [(1, 1), (3, 3), (2, 5)]


@pytest.mark.parametrize("bins", BINS, ids=str)
def test_values_are_the_integrals(
    boxes: Tensor, bins: tuple[int, int], backend: str, make_features: Make, quadrature: Make
) -> None:
    features = make_features()
    pooled = prroi_pool2d(features, boxes, *bins, backend=backend)
    torch.testing.assert_close(pooled, quadrature(features, boxes, *bins), rtol=0, atol=1e-13)


def test_scale_and_shape_of_the_map(backend: str, make_features: Make, make_boxes: Make, quadrature: Make) -> None:
    for height, width in [(1, 1), (1, 12), (13, 2)]:
        features, rois = make_features(3, 2, height, width), make_boxes(20, images=3, extent=90)
        pooled = prroi_pool2d(features, rois, 4, 3, 1 / 8, backend=backend)
        torch.testing.assert_close(pooled, quadrature(features, rois, 4, 3, 1 / 8), rtol=0, atol=1e-13)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.bfloat16, 4e-3), (torch.float16, 5e-4)])
def test_lower_precision(
    dtype: torch.dtype, tolerance: float, backend: str, make_features: Make, make_boxes: Make, quadrature: Make
) -> None:
    """Half precision loses no more than the rounding of what comes in and goes out."""
    features, rois = make_features(2, 8, 18, 18).to(dtype), make_boxes(30, images=2, extent=18).float()
    pooled = prroi_pool2d(features, rois, 5, 5, backend=backend)
    assert pooled.dtype == dtype
    expected = quadrature(features.double(), rois.double(), 5, 5)
    error = (pooled.double() - expected).abs().max() / expected.abs().max()
    assert error < tolerance


def test_half_precision_boxes_are_taken_beside_half_precision_features(backend: str, make_features: Make) -> None:
    features, rois = make_features().bfloat16(), torch.tensor([[1, 1.5, 2, 4, 5]])
    pooled = prroi_pool2d(features, rois.bfloat16(), 2, 2, backend=backend)
    assert torch.equal(pooled, prroi_pool2d(features, rois, 2, 2, backend=backend))  # these boxes lose nothing


@pytest.mark.parametrize("bins", BINS, ids=str)
def test_gradients_are_those_of_the_integral(
    boxes: Tensor, bins: tuple[int, int], backend: str, make_features: Make, quadrature: Make
) -> None:
    """Symmetric differences of the reference, also for edges on whole cells, where the second derivative jumps."""
    step = 1e-6
    features = make_features().requires_grad_()
    rois = boxes.clone().requires_grad_()
    pooled = prroi_pool2d(features, rois, *bins, backend=backend)
    seed = torch.randn(pooled.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    grad_features, grad_rois = torch.autograd.grad(pooled, (features, rois), seed)

    def value(rois: Tensor) -> Tensor:  # per RoI
        return (quadrature(features.detach(), rois, *bins) * seed).sum(dim=(1, 2, 3))

    for column in range(1, 5):
        offset = torch.zeros(5, dtype=torch.float64)
        offset[column] = step
        slope = (value(boxes + offset) - value(boxes - offset)) / (2 * step)
        torch.testing.assert_close(grad_rois[:, column], slope, rtol=1e-5, atol=5e-5)
    assert not grad_rois[:, 0].any()
    direction = make_features(seed=2)  # the pooling is linear in the features
    change = (quadrature(direction, boxes, *bins) * seed).sum()
    torch.testing.assert_close((grad_features * direction).sum(), change, rtol=1e-10, atol=1e-12)


def test_edges_on_whole_cells_from_both_sides(backend: str) -> None:
    """The left and the right derivative agree there, and automatic differentiation gives neither half nor twice it."""
    features = torch.arange(7.0, dtype=torch.float64).square().reshape(1, 1, 1, 7)
    rois = torch.tensor([[0.0, 2, -1, 5, 1]], dtype=torch.float64)

    def mean(right: float) -> float:
        return prroi_pool2d(features, rois + torch.tensor([0, 0, 0, right, 0]), 1, 1, backend=backend).item()

    tracked = rois.clone().requires_grad_()
    prroi_pool2d(features, tracked, 1, 1, backend=backend).sum().backward()
    assert tracked.grad is not None
    after, before = (mean(1e-6) - mean(0)) / 1e-6, (mean(0) - mean(-1e-6)) / 1e-6
    assert after == pytest.approx(before, abs=1e-5)
    assert tracked.grad[0, 3].item() == pytest.approx(after, abs=1e-5)
    # By hand: the rows' mean is 1/2; the trapezium sum over [2, 5] is 4/2 + 9 + 16 + 25/2 = 39.5.
    assert mean(0) == pytest.approx(39.5 / 3 / 2)
    assert tracked.grad[0, 3].item() == pytest.approx((25 - 39.5 / 3) / 3 / 2)


def _away_from_kinks(make_boxes: Make) -> Tensor:
    """Boxes none of whose bins' edges lies within 0.01 of a whole coordinate, with three bins per axis."""
    rois = make_boxes(40, images=2, extent=8.0, seed=3)
    low, high = rois[:, 1:3], rois[:, 3:]
    edges = low[..., None] + (high - low)[..., None] * torch.arange(4, dtype=torch.float64) / 3
    chosen = rois[((edges - edges.round()).abs() > 0.01).all(dim=2).all(dim=1)][:4]
    assert len(chosen) == 4
    return chosen


def test_gradcheck(backend: str, make_features: Make, make_boxes: Make) -> None:
    features, rois = make_features(2, 1, 6, 7).requires_grad_(), _away_from_kinks(make_boxes).requires_grad_()

    def pool(features: Tensor, coordinates: Tensor) -> Tensor:
        return prroi_pool2d(features, torch.cat([rois.detach()[:, :1], coordinates], 1), 3, 3, backend=backend)

    inputs = (features, rois.detach()[:, 1:].clone().requires_grad_())
    assert torch.autograd.gradcheck(pool, inputs, eps=1e-5, atol=1e-6)
    assert torch.autograd.gradgradcheck(pool, inputs, eps=1e-5, atol=1e-5)


def test_gradcheck_of_the_grid(backend: str, make_features: Make) -> None:
    inputs = [
        make_features(2, 1, 5, 6),
        torch.tensor([[-0.7, 1.2, 2.3], [0.3, 1.4, 4.2]], dtype=torch.float64),
        torch.tensor([[0.4, 2.3], [-1.3, 3.3]], dtype=torch.float64),
        torch.tensor([[2.4, 1.66], [3.1, 2.5]], dtype=torch.float64),
    ]
    for tensor in inputs:
        tensor.requires_grad_()

    def pool(*given: Tensor) -> Tensor:
        return prroi_pool_grid(*given, 2, 2, backend=backend)

    assert torch.autograd.gradcheck(pool, inputs, eps=1e-5, atol=1e-6)
    assert torch.autograd.gradgradcheck(pool, inputs, eps=1e-5, atol=1e-5)


def _hat_mean(low: Fraction, high: Fraction) -> Fraction:
    def integral(t: Fraction) -> Fraction:
        t = max(Fraction(-1), min(Fraction(1), t))
        return Fraction(1, 2) + t - t * abs(t) / 2

    return (integral(high) - integral(low)) / (high - low)


def _hat(t: Fraction) -> Fraction:
    return max(Fraction(0), 1 - abs(t))


@pytest.mark.parametrize("extent", [1e-9, 1e-6, 1e-3, 1.0, 10.0, 1e3, 1e6])
@pytest.mark.parametrize("low", [20.0, 20.75, 3.3])
def test_weights_are_right_to_rounding_at_every_size(extent: float, low: float) -> None:
    """In rational arithmetic: neither tiny nor huge boxes lose digits, in the weights nor in their derivatives.

    A difference of integrals in float64 has errors of 1e-8 in the weights of a box of a millionth of a cell, and
    more than the derivatives themselves below that.
    """
    bins, pixels = 5, 36
    low = low - extent / 3 if extent > 1 else low
    ends = torch.tensor([low, low + extent], dtype=torch.float64, requires_grad=True)
    weights = bin_weights(ends[0], ends[1], bins, pixels)
    first, last = (Fraction(value) for value in ends.tolist())
    size = (last - first) / bins
    for bin_ in range(bins):
        for cell in range(pixels):
            begin = first + bin_ * size - cell
            expected = _hat_mean(begin, begin + size)
            assert weights[bin_, cell].item() == pytest.approx(float(expected), rel=0, abs=1e-15)
            if not -3 < begin < 3:
                continue
            slopes = torch.autograd.grad(weights[bin_, cell], ends, retain_graph=True)[0].tolist()
            rises = ((_hat(begin + size) - expected) / size, (expected - _hat(begin)) / size)
            share = Fraction(2 * bin_ + 1, 2 * bins)  # how far the middle of the bin lies between the ends
            half = Fraction(1, 2 * bins)
            to_low = rises[0] * (1 - share - half) + rises[1] * (1 - share + half)
            to_high = rises[0] * (share + half) + rises[1] * (share - half)
            # The edges themselves are rounded, so slopes of a tiny bin on top of a cell are less sure.
            assert slopes == pytest.approx([float(to_low), float(to_high)], rel=0, abs=4e-16 / min(extent, 1) + 1e-14)


def test_weights_of_a_device_without_float64_come_from_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as MPS, which stands in for itself here by an object that is asked for nothing but its kind."""

    class Like:
        dtype = torch.float32
        device = torch.device("mps")

    homes: list[tuple[torch.device, torch.dtype]] = []
    plain = Tensor.to

    def spy(tensor: Tensor, *target: object) -> Tensor:
        homes.append(target)  # type: ignore[arg-type]
        return plain(tensor, *("cpu" if str(item) == "mps" else item for item in target))

    monkeypatch.setattr(Tensor, "to", spy)
    low, high = torch.tensor([8.0]), torch.tensor([24.4])
    weights = axis_weights(low, high, 1 / 8, 3, 6, Like())  # type: ignore[arg-type]
    assert homes == [(torch.device("cpu"), torch.float64)] * 2 + [(torch.device("mps"), torch.float32)]
    expected = bin_weights(torch.tensor([1.0]).double(), high.double() / 8, 3, 6)
    torch.testing.assert_close(weights.double(), expected, rtol=0, atol=1e-7)


@pytest.mark.parametrize("images", [1, 3])
def test_many_rois_are_pooled_in_parts(
    images: int, monkeypatch: pytest.MonkeyPatch, make_features: Make, make_boxes: Make
) -> None:
    """With the same result and gradients, and no intermediate result above the limit."""
    features, rois = make_features(images).requires_grad_(), make_boxes(50, images=images).requires_grad_()
    seed = torch.randn(50, 3, 2, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    whole = pool_exact(features, rois, 2, 4, 1.0)
    sizes: list[int] = []
    plain = module._pool_boxes

    def spy(features: Tensor, boxes: Tensor, size: tuple[int, int], scale: float) -> Tensor:
        sizes.append(boxes.shape[0] * boxes.shape[1] * features.shape[1] * features.shape[2] * size[1])
        return plain(features, boxes, size, scale)

    monkeypatch.setattr(module, "_pool_boxes", spy)
    monkeypatch.setattr(module, "CHUNK_ON_CPU", 600)
    parts = pool_exact(features, rois, 2, 4, 1.0)
    assert len(sizes) > 5
    assert max(sizes) <= 600
    torch.testing.assert_close(parts, whole, rtol=0, atol=1e-14)
    for found, expected in zip(
        torch.autograd.grad(parts, (features, rois), seed),
        torch.autograd.grad(whole, (features, rois), seed),
        strict=True,
    ):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_a_map_is_not_copied_per_roi_on_the_cpu(
    monkeypatch: pytest.MonkeyPatch, make_features: Make, make_boxes: Make
) -> None:
    features, rois = make_features(3), make_boxes(12, images=3)
    expected = module._pool_by_index(features, rois, (2, 2), 1.0)
    monkeypatch.setattr(module, "_pool_by_index", None)
    torch.testing.assert_close(pool_exact(features, rois, 2, 2, 1.0), expected, rtol=0, atol=1e-14)


def test_result_is_contiguous(backend: str, make_features: Make, make_boxes: Make) -> None:
    """So that `view` works on it, whichever back end made it."""
    for images in (1, 2):
        assert prroi_pool2d(make_features(images), make_boxes(5, images), 3, 4, backend=backend).is_contiguous()
    grid = torch.zeros(2, 3, dtype=torch.float64)
    assert prroi_pool_grid(make_features(), grid, grid, 1 + grid[:, :2], 3, 4, backend=backend).is_contiguous()


def test_features_in_any_memory_order(backend: str, make_features: Make, make_boxes: Make) -> None:
    features, rois = make_features(), make_boxes(6, images=2)
    expected = prroi_pool2d(features, rois, 3, 3, backend=backend)
    for other in (features.contiguous(memory_format=torch.channels_last), features.mT.contiguous().mT):
        torch.testing.assert_close(prroi_pool2d(other, rois, 3, 3, backend=backend), expected, rtol=0, atol=1e-14)
