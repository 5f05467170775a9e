"""The compiled operator on a GPU, against the exact path in float64 on the CPU.

What is true of the CPU operator as well also runs there, so that these tests themselves are tried out without a GPU.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from prroi_pool import compiled, prroi_pool2d
from prroi_pool.exact import pool_exact

ON_GPU = pytest.param("cuda", marks=pytest.mark.gpu)
# Share of the largest value.
TOLERANCE = {torch.float64: 1e-11, torch.float32: 2e-6, torch.float16: 2e-3, torch.bfloat16: 1.6e-2}
HALF = (torch.float16, torch.bfloat16)

# Rows [image, x0, y0, x1, y1] in image units, for maps of 13 x 17 cells at a stride of 8.
BOXES = {
    "inside": [[0, 10.3, 21.7, 60.1, 80.9], [1, 40, 8.2, 99.9, 31.4], [0, 12, 20, 61, 82]],
    "on whole cells": [[1, 16, 8, 64, 48], [0, 0, 0, 40, 40], [0, 8, 16, 16, 24]],
    "partly outside": [[1, -30, -9.5, 40.2, 33.3], [0, 90, 60, 170, 130], [0, -50, -50, 300, 300]],
    "wholly outside": [[0, 500, 500, 600, 600], [1, -90, 10, -20, 60]],
    "empty and reversed": [[1, 40, 40, 40, 60], [0, 60, 10, 20, 50], [1, 5, 5, 5, 5]],
    "tiny": [[0, 50, 30, 50.4, 30.4], [1, 24, 24, 24.1, 24.1]],
    "huge": [[0, -5e6, -5e6, 5e6, 5e6], [1, -1e6, 3, 40, 70]],
}


@pytest.fixture(params=["cpu", ON_GPU])
def device(request: pytest.FixtureRequest) -> str:
    for status in compiled.status():
        if status.name == request.param and not status.available:
            pytest.skip(status.reason)
    return request.param


def _inputs(
    device: str, dtype: torch.dtype, rois: list[list[float]], bins: tuple[int, int] = (5, 4), channels: int = 9
) -> tuple[Tensor, Tensor, Tensor]:
    """Features of two images, boxes, and a gradient of the output."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(2, channels, 13, 17, generator=generator)
    grad = torch.randn(len(rois), channels, *bins, generator=generator)
    box_dtype = torch.float32 if dtype in HALF else dtype
    boxes = torch.tensor(rois, dtype=torch.float64).reshape(-1, 5)
    return features.to(device, dtype), boxes.to(device, box_dtype), grad.to(device, dtype)


def _results(features: Tensor, rois: Tensor, grad: Tensor, **options: bool) -> list[Tensor]:
    """Output of the compiled operator, gradient to the features, gradient to the boxes."""
    features, rois = features.detach().requires_grad_(), rois.detach().requires_grad_()
    out = prroi_pool2d(features, rois, *grad.shape[2:], 1 / 8, backend="compiled", **options)
    return [out.detach(), *torch.autograd.grad(out, (features, rois), grad)]


def _reference(features: Tensor, rois: Tensor, grad: Tensor) -> list[Tensor]:
    features, rois = features.cpu().double().requires_grad_(), rois.cpu().double().requires_grad_()
    out = pool_exact(features, rois, *grad.shape[2:], 1 / 8)
    return [out.detach(), *torch.autograd.grad(out, (features, rois), grad.cpu().double())]


def _assert_close(actual: list[Tensor], expected: list[Tensor], tolerance: float) -> None:
    for name, found, right in zip(("output", "features", "rois"), actual, expected, strict=True):
        error = float((found.cpu().double() - right).abs().max()) if right.numel() else 0.0
        largest = (float(right.abs().max()) if right.numel() else 0.0) or 1.0
        assert error <= tolerance * largest, f"{name}: wrong by {error / largest:.2g} of the largest value"


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("kind", BOXES)
def test_values_and_gradients(device: str, dtype: torch.dtype, kind: str) -> None:
    inputs = _inputs(device, dtype, BOXES[kind])
    results = _results(*inputs)
    assert [tensor.dtype for tensor in results] == [dtype, dtype, inputs[1].dtype]
    assert all(tensor.device.type == device for tensor in results)
    _assert_close(results, _reference(*inputs), TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", HALF, ids=str)
def test_half_precision_boxes(device: str, dtype: torch.dtype) -> None:
    features, rois, grad = _inputs(device, dtype, BOXES["inside"])
    rois = rois.to(dtype)
    results = _results(features, rois, grad)
    assert results[2].dtype == dtype
    _assert_close(results, _reference(features, rois, grad), TOLERANCE[dtype])


@pytest.mark.parametrize("bins", [(1, 1), (3, 3), (8, 8), (1, 70), (40, 33)], ids=str)
def test_numbers_of_bins(device: str, bins: tuple[int, int]) -> None:
    """Small, those of the trackers, and more than a block's tables hold."""
    inputs = _inputs(device, torch.float32, BOXES["inside"] + BOXES["partly outside"], bins)
    _assert_close(_results(*inputs), _reference(*inputs), TOLERANCE[torch.float32])


@pytest.mark.parametrize("count", [0, 1, 961, 3000])
def test_sets_of_boxes(device: str, count: int) -> None:
    """None, one, DCFST's, and more than a block looks at in one go; in images of any order."""
    generator = torch.Generator().manual_seed(1)
    corners, sizes = torch.rand(count, 2, generator=generator) * 100, torch.rand(count, 2, generator=generator) * 60
    images = torch.randint(0, 2, (count, 1), generator=generator)
    rois = torch.cat([images, corners, corners + sizes], 1).tolist()
    inputs = _inputs(device, torch.float32, rois, (3, 3), channels=3)
    # A cell lies in hundreds of boxes: the rounding of that many sums is larger.
    _assert_close(_results(*inputs), _reference(*inputs), 4 * TOLERANCE[torch.float32])


def test_no_channels_and_no_images(device: str) -> None:
    features, rois, grad = _inputs(device, torch.float32, BOXES["inside"], channels=0)
    out, grad_features, grad_rois = _results(features, rois, grad)
    assert out.shape == (3, 0, 5, 4) and grad_features.shape == features.shape
    assert torch.equal(grad_rois, torch.zeros_like(rois))
    none = features.new_zeros(0, 4, 13, 17)
    assert prroi_pool2d(none, rois[:0], 2, 2, backend="compiled").shape == (0, 4, 2, 2)


def test_tensors_that_are_not_contiguous(device: str) -> None:
    features, rois, grad = _inputs(device, torch.float32, BOXES["inside"])
    expected = _results(features, rois, grad)
    scattered = torch.stack([rois, rois], 2)[..., 0]
    turned = grad.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
    found = _results(features.to(memory_format=torch.channels_last), scattered, turned)
    assert not (scattered.is_contiguous() or turned.is_contiguous())
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_every_run_gives_the_same_bits(device: str) -> None:
    """With many boxes over each other, where sums in an order left to chance would differ."""
    generator = torch.Generator().manual_seed(2)
    corners = torch.rand(400, 2, generator=generator) * 60
    rois = torch.cat([torch.zeros(400, 1), corners, corners + 40], 1).tolist()
    inputs = _inputs(device, torch.float32, rois, (5, 5), channels=33)
    first = _results(*inputs)
    for _ in range(10 if device == "cuda" else 2):
        assert all(torch.equal(a, b) for a, b in zip(first, _results(*inputs), strict=True))


def test_a_box_does_not_depend_on_the_others(device: str) -> None:
    """With few boxes the CUDA kernels cut the work in another way than with many."""
    boxes = [row for kind in BOXES for row in BOXES[kind]] * 60
    features, rois, grad = _inputs(device, torch.float32, boxes, channels=33)
    out, _, grad_rois = _results(features, rois, grad)
    for n in range(0, len(boxes), 397):
        alone = _results(features, rois[n : n + 1], grad[n : n + 1])
        torch.testing.assert_close(out[n], alone[0][0], rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(grad_rois[n], alone[2][0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("operator", ["pool", "pool_backward_features", "pool_backward_rois"])
def test_operators_keep_what_they_promise_to_torch(device: str, operator: str) -> None:
    features, rois, grad = _inputs(device, torch.float32, BOXES["inside"])
    features, rois = features.requires_grad_(), rois.requires_grad_()
    arguments = {
        "pool": (features, rois, 5, 4, 1 / 8),
        "pool_backward_features": (grad, rois.detach(), 2, 13, 17, 1 / 8),
        "pool_backward_rois": (grad, features.detach(), rois.detach(), 1 / 8),
    }
    torch.library.opcheck(getattr(torch.ops.prroi_pool, operator).default, arguments[operator])


def test_gradcheck(device: str) -> None:
    features, rois, _ = _inputs(device, torch.float64, BOXES["inside"], channels=2)

    def pool(features: Tensor, coordinates: Tensor) -> Tensor:
        boxes = torch.cat([rois[:, :1], coordinates], 1)
        return prroi_pool2d(features, boxes, 2, 3, 1 / 8, backend="compiled")

    # Edges off the whole cells, where the second derivative jumps.
    coordinates = (rois[:, 1:] + 0.37).requires_grad_()
    assert torch.autograd.gradcheck(pool, (features.requires_grad_(), coordinates), nondet_tol=0.0)


def test_bad_arguments_are_refused_below_python_too(device: str) -> None:
    """Kernels trust the shapes, so the operators themselves check them."""
    if device == "cpu":
        pytest.skip("the messages are those of the CUDA operator")
    features, rois, grad = _inputs(device, torch.float32, BOXES["inside"])
    operators = torch.ops.prroi_pool
    for message, call in {
        r"rois must be \(R, 5\)": lambda: operators.pool(features, rois[:, :4], 2, 2, 1.0),
        "must have one dtype": lambda: operators.pool(features, rois.double(), 2, 2, 1.0),
        "at least 1": lambda: operators.pool(features, rois, 0, 2, 1.0),
        "grad must be": lambda: operators.pool_backward_features(grad[:1], rois, 2, 13, 17, 1.0),
        "same channels": lambda: operators.pool_backward_rois(grad[:, :3], features, rois, 1.0),
    }.items():
        with pytest.raises(RuntimeError, match=message):
            call()


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_what_cannot_be_pooled_gives_nan_and_no_gradient(dtype: torch.dtype) -> None:
    """Without the check of values, which waits for the GPU. The CPU operator raises instead."""
    nan, infinity = float("nan"), float("inf")
    bad = [[2, 1, 1, 30, 30], [-1, 1, 1, 30, 30], [nan, 1, 1, 30, 30], [1e9, 1, 1, 30, 30]]
    bad += [[0, *(value if k == n else 9.0 * k for k in range(4))] for n in range(4) for value in (nan, -infinity)]
    good = BOXES["inside"]
    features, rois, grad = _inputs("cuda", dtype, [*bad, *good])
    out, grad_features, grad_rois = _results(features, rois, grad, check_values=False)
    assert out[: len(bad)].isnan().all()
    assert (grad_rois[: len(bad)] == 0).all()
    found = [out[len(bad) :], grad_features, grad_rois[len(bad) :]]
    _assert_close(found, _reference(features, rois[len(bad) :], grad[len(bad) :]), TOLERANCE[dtype])


@pytest.mark.gpu
def test_runs_on_the_current_stream_and_device() -> None:
    features, rois, grad = _inputs("cuda", torch.float32, BOXES["inside"])
    expected = _results(features, rois, grad)
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        torch.cuda._sleep(50_000_000)  # a kernel on another stream would not wait for what follows
        found = _results(features + 0, rois + 0, grad + 0)
    stream.synchronize()
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    if torch.cuda.device_count() > 1:
        other = _results(features.to("cuda:1"), rois.to("cuda:1"), grad.to("cuda:1"))
        assert all(torch.equal(a.cpu(), b.cpu()) for a, b in zip(other, expected, strict=True))


@pytest.mark.gpu
def test_can_be_captured_in_a_graph() -> None:
    features, rois, grad = _inputs("cuda", torch.float32, BOXES["inside"])
    others = [tensor.flip(0).contiguous() for tensor in (features, rois, grad)]
    expected = _results(*others)
    _results(features, rois, grad)  # loads the kernels: that cannot be captured
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        found = _results(features, rois, grad)
    for tensor, other in zip((features, rois, grad), others, strict=True):
        tensor.copy_(other)
    graph.replay()
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_full_graph_compilation(device: str) -> None:
    if device == "cpu":
        pytest.skip("shown in test_compiled.py")
    features, rois, grad = _inputs(device, torch.float32, BOXES["inside"])
    expected = _results(features, rois, grad)

    @torch.compile(fullgraph=True)
    def pool(features: Tensor, rois: Tensor) -> Tensor:
        return prroi_pool2d(features * 2, rois, 5, 4, 1 / 8, backend="compiled") / 2

    features, rois = features.requires_grad_(), rois.requires_grad_()
    out = pool(features, rois)
    found = [out.detach(), *torch.autograd.grad(out, (features, rois), grad)]
    _assert_close(found, [tensor.cpu().double() for tensor in expected], 1e-6)


@pytest.mark.gpu
@pytest.mark.slow
def test_maps_of_more_than_two_to_the_31_elements() -> None:
    """The last corner of the last plane, beyond what 32 bits count."""
    side = 33_000
    needed = 2 * 2 * side * side * 2 * 2
    if torch.cuda.mem_get_info()[0] < 1.5 * needed:
        pytest.skip(f"needs {1.5 * needed / 2**30:.0f} GiB of free GPU memory")
    features = torch.zeros(2, 2, side, side, dtype=torch.float16, device="cuda")
    corner = torch.randn(2, 2, 64, 64, generator=torch.Generator().manual_seed(0))
    features[:, :, -64:, -64:] = corner.to(features)
    rois = torch.tensor([[1, side - 60.3, side - 50.2, side - 20.5, side + 3]], device="cuda")
    grad = torch.ones(1, 2, 3, 3, dtype=torch.float16, device="cuda")
    found = [
        torch.ops.prroi_pool.pool(features, rois, 3, 3, 1.0),
        torch.ops.prroi_pool.pool_backward_features(grad, rois, 2, side, side, 1.0)[:, :, -64:, -64:],
        torch.ops.prroi_pool.pool_backward_rois(grad, features, rois, 1.0),
    ]
    shifted = rois.double() - torch.tensor([0, *[side - 64] * 4], device="cuda", dtype=torch.float64)
    near = features[:, :, -64:, -64:]
    expected = _reference(near, shifted * torch.tensor([1, 8, 8, 8, 8], device="cuda"), grad)
    expected[2] *= 8  # the reference pools at a scale of 1 / 8
    _assert_close(found, expected, TOLERANCE[torch.float16])
