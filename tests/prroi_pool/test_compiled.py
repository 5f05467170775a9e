"""The C++ operator for the CPU, against the exact path: sizes that reach every way through its kernels, the same bits
for any number of threads, and its three operators seen by PyTorch. What all back ends share is tested beside this."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor
from torch.func import grad, vjp, vmap

from prroi_pool import checks, compiled, operators, prroi_pool2d
from prroi_pool.exact import pool_exact

_MISSING = {status.name: status.reason for status in compiled.status()}["cpu"]
pytestmark = pytest.mark.skipif(bool(_MISSING), reason=_MISSING or "-")

Results = tuple[Tensor, Tensor, Tensor]

# Channels, height and width of the map, bins in y and x. Kernels take 8 channels at a time, 32 for a partial sum, and
# vectors of 4 or 8 cells: less, more, and whole multiples of each.
SIZES = {
    "one of everything": (1, 1, 1, 1, 1),
    "less than a vector": (3, 5, 3, 2, 3),
    "IoU-Net": (32, 36, 36, 5, 5),
    "IoU-Net, coarse": (9, 18, 18, 3, 3),
    "rest of a block": (43, 4, 33, 1, 8),
    "more bins than cells": (8, 3, 7, 20, 13),
    "no multiples": (17, 23, 29, 6, 11),
}
# Of the largest value of an image or a box. Gradients in a box's edges are sums that cancel each other in part.
TOLERANCE = {torch.float64: (1e-13, 1e-13, 1e-12), torch.float32: (1e-6, 1e-6, 1e-5)}


def boxes_of_every_kind(height: int, width: int, images: int = 3) -> Tensor:
    """Rows in cells of the map, on the images in turn and back, in float64."""
    random = torch.Generator().manual_seed(1)
    size = torch.tensor([width, height], dtype=torch.float64)
    corner = size * torch.rand(40, 2, generator=random, dtype=torch.float64)
    extent = 0.6 * size * torch.rand(40, 2, generator=random, dtype=torch.float64) + 0.2
    corner[5:10] = corner[5:10].floor()
    extent[5:10] = extent[5:10].ceil()
    extent[10:15] *= 1e-6
    corner[15:20] -= 5e5
    extent[15:20] = 1e6
    corner[20:25] -= 0.7 * extent[20:25]  # partly outside, or nearly
    corner[25:27] += 2 * size + 1  # wholly outside
    extent[27:29] *= -1
    extent[29:31] = 0
    extent[31:33, 0] = 0
    index = torch.arange(40) % images
    index[20:] = index[20:].flip(0)
    return torch.cat([index[:, None].double(), corner, corner + extent], dim=1)


def inputs_for(size: str, dtype: torch.dtype = torch.float64, scale: float = 1 / 8) -> tuple[Tensor, Tensor, Tensor]:
    """Three maps, boxes of every kind in image units, and a gradient of the result."""
    channels, height, width, ph, pw = SIZES[size]
    random = torch.Generator().manual_seed(0)
    features = torch.randn(3, channels, height, width, generator=random, dtype=torch.float64)
    rois = boxes_of_every_kind(height, width)
    rois[:, 1:] /= scale
    gradient = torch.randn(len(rois), channels, ph, pw, generator=random, dtype=torch.float64)
    return features.to(dtype), rois.to(dtype), gradient.to(dtype)


def results_of(pool: Callable[..., Tensor], features: Tensor, rois: Tensor, gradient: Tensor) -> Results:
    """Pooled values at a scale of 1 / 8, gradient in the features, gradient in the boxes."""
    features, rois = features.detach().requires_grad_(), rois.detach().requires_grad_()
    pooled = pool(features, rois, *gradient.shape[2:], 1 / 8)
    return pooled.detach(), *torch.autograd.grad(pooled, (features, rois), gradient)


def by_operator(features: Tensor, rois: Tensor, ph: int, pw: int, scale: float) -> Tensor:
    return prroi_pool2d(features, rois, ph, pw, scale, backend="compiled")


def reference(features: Tensor, rois: Tensor, gradient: Tensor) -> Results:
    return results_of(pool_exact, features.double(), rois.double(), gradient.double())


@pytest.fixture
def set_threads() -> Iterator[Callable[[int], None]]:
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


# --- values and gradients ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("size", SIZES)
def test_equal_to_the_exact_path(size: str, dtype: torch.dtype) -> None:
    """Box by box, so that no large gradient hides a small one that is wrong."""
    given = inputs_for(size, dtype)
    for found, right, tolerance in zip(
        results_of(by_operator, *given), reference(*given), TOLERANCE[dtype], strict=True
    ):
        assert found.dtype == dtype
        error, largest = ((tensor.flatten(1).abs().amax(1)) for tensor in (found.double() - right, right))
        assert (error <= tolerance * largest).all(), f"wrong by {(error / largest).nan_to_num().max():.2g}"


def test_empty_boxes_are_zero_and_have_no_gradient() -> None:
    features, rois, gradient = inputs_for("IoU-Net, coarse")
    empty = slice(25, 33)
    pooled, _, of_rois = results_of(by_operator, features, rois, gradient)
    assert not pooled[empty].any()
    assert not of_rois[empty].any()
    assert not of_rois[:, 0].any()
    assert not results_of(by_operator, features, rois[empty], gradient[empty])[1].any()


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_same_bits_for_any_number_of_threads(dtype: torch.dtype, set_threads: Callable[[int], None]) -> None:
    """Several runs of each: large enough that the threads really share the work."""
    given = [torch.cat([tensor, tensor], 1) if tensor.dim() == 4 else tensor for tensor in inputs_for("IoU-Net", dtype)]
    results = []
    for threads in (1, 2, 3, 1, 2, 3):
        set_threads(threads)
        results.append(results_of(by_operator, *given))
    for other in results[1:]:
        assert all(torch.equal(one, two) for one, two in zip(results[0], other, strict=True))


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_boxes_of_the_same_rows_do_not_disturb_each_other(dtype: torch.dtype) -> None:
    """Their rows are averaged together, which must not show: overlapping, apart, empty, outside, another image."""
    rows = [[0, x, 1.3, x + 4.5, 6.1] for x in (-6.0, 0.5, 1.0, 1.0, 18.0, 3.0)]
    rows += [[0, 5.0, 1.3, 5.0, 6.1], [1, 3.0, 1.3, 7.5, 6.1], [1, 3.5, 1.3, 8.0, 6.1], [1, 3.5, 2.0, 8.0, 2.0]]
    rois = torch.tensor(rows, dtype=dtype)
    features = torch.randn(2, 9, 8, 21, dtype=dtype, generator=torch.Generator().manual_seed(3), requires_grad=True)
    together = compiled.pool(features, rois, 4, 3, 1.0)
    alone = torch.cat([compiled.pool(features, roi[None], 4, 3, 1.0) for roi in rois])
    assert torch.equal(together, alone)
    weight = torch.randn(together.shape, dtype=dtype, generator=torch.Generator().manual_seed(4))
    (grad_together,) = torch.autograd.grad(together, features, weight)
    (grad_alone,) = torch.autograd.grad(alone, features, weight)
    torch.testing.assert_close(grad_together, grad_alone, rtol=0, atol=TOLERANCE[dtype][1])


def test_same_bits_in_any_memory_order() -> None:
    features, rois, gradient = inputs_for("no multiples", torch.float32)
    expected = results_of(by_operator, features, rois, gradient)
    every_other = torch.stack([features, features * 0], 4).flatten(3)[..., ::2]
    wide = torch.cat([rois, rois], 1)[:, :5]
    for given in (
        (features.contiguous(memory_format=torch.channels_last), rois.t().contiguous().t(), gradient),
        (every_other, wide, gradient.permute(2, 3, 0, 1).contiguous().permute(2, 3, 0, 1)),
    ):
        assert not any(tensor.is_contiguous() for tensor in given[:2])
        for found, right in zip(results_of(by_operator, *given), expected, strict=True):
            assert torch.equal(found, right)


def test_expanded_gradient() -> None:
    """What `sum()` and `mean()` send back has strides of 0."""
    features, rois, gradient = inputs_for("IoU-Net, coarse")
    expanded = torch.ones((), dtype=torch.float64).expand_as(gradient)
    for found, right in zip(
        results_of(by_operator, features, rois, expanded),
        results_of(by_operator, features, rois, torch.ones_like(gradient)),
        strict=True,
    ):
        assert torch.equal(found, right)


@pytest.mark.parametrize("shape", [(3, 4, 5, 6), (3, 0, 5, 6), (3, 4, 0, 6), (3, 4, 5, 0)])
@pytest.mark.parametrize("count", [0, 2])
def test_nothing_to_pool(shape: tuple[int, int, int, int], count: int) -> None:
    """No boxes, no channels, or a map without cells, which is zero everywhere."""
    features = torch.ones(shape)
    rois = torch.tensor([[0.0, 8, 8, 32, 32], [2, -24, 0, 64, 40]])[:count]
    pooled, of_features, of_rois = results_of(by_operator, features, rois, torch.ones(count, shape[1], 2, 3))
    assert pooled.shape == (count, shape[1], 2, 3)
    assert of_features.shape == shape
    assert of_rois.shape == rois.shape
    assert bool(pooled.any()) == bool(of_features.any()) == bool(count and features.numel())


def test_no_images() -> None:
    features, rois = torch.ones(0, 4, 5, 6), torch.ones(0, 5)
    assert [tuple(tensor.shape) for tensor in results_of(by_operator, features, rois, torch.ones(0, 4, 2, 3))] == [
        (0, 4, 2, 3),
        (0, 4, 5, 6),
        (0, 5),
    ]


def test_cells_outside_a_box_do_not_matter() -> None:
    """Vectors reach beyond a box and beyond the end of a row; what they bring from there is not used."""
    features = torch.full((2, 9, 7, 13), torch.nan)
    features[:, :, 2:5, 3:9] = 1.5
    rois = torch.tensor([[0, 3.0, 2, 8, 4], [1, 4.5, 2.5, 6.5, 3.5]])
    found = torch.ops.prroi_pool.pool(features, rois, 2, 2, 1.0)
    torch.testing.assert_close(found, torch.full((2, 9, 2, 2), 1.5), rtol=0, atol=1e-6)


def test_a_box_whose_cells_cannot_be_counted_leaves_the_others_alone() -> None:
    """Coordinates that overflow when they are scaled; on tiny maps, beyond which a vector reaches."""
    random = torch.Generator().manual_seed(0)
    for height, width in ((1, 1), (2, 3), (1, 9), (9, 1), (17, 8)):
        features = torch.randn(2, 9, height, width, generator=random, dtype=torch.float64)
        good = torch.tensor([[0, -0.1, -0.2, 0.7, 0.6], [1, 0, 0, 0.5, 0.5]], dtype=torch.float64)
        wild = torch.tensor([[0, -1e308, -1e308, 1e308, 1e308], [1, 1e308, 0, -1e308, 1]], dtype=torch.float64)
        expected = torch.ops.prroi_pool.pool(features, good, 2, 9, 16.0)
        assert torch.equal(torch.ops.prroi_pool.pool(features, torch.cat([good, wild]), 2, 9, 16.0)[:2], expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("box_dtype", ["half", torch.float32])
def test_half_precision_is_computed_in_float32(dtype: torch.dtype, box_dtype: torch.dtype | str) -> None:
    features, rois, gradient = (tensor[:15].to(dtype) for tensor in inputs_for("IoU-Net, coarse"))
    rois = rois.to(dtype if box_dtype == "half" else box_dtype)
    found = results_of(by_operator, features, rois, gradient)
    expected = results_of(by_operator, features.float(), rois.float(), gradient.float())
    assert [tensor.dtype for tensor in found] == [dtype, dtype, rois.dtype]
    assert all(torch.equal(one, two.to(one.dtype)) for one, two in zip(found, expected, strict=True))


# --- what is refused --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", range(5))
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_values_that_are_not_finite(place: int, value: float) -> None:
    features, rois, gradient = inputs_for("less than a vector")
    rois[11, place] = value
    _refuses("rois holds NaN or infinite values: check the boxes", features, rois, gradient)
    with pytest.raises(ValueError, match="rois holds NaN or infinite values: check the boxes"):
        checks.check_roi_values(rois, 3)


@pytest.mark.parametrize("index", [-1, 3, 0.5, 1e12])
def test_images_that_are_not_there(index: float) -> None:
    features, rois, gradient = inputs_for("less than a vector")
    rois[11, 0] = index
    message = rf"rois\[:, 0\] holds the batch index {index:g}, but features has 3 images: use 0 .. 2"
    message = message.replace("+", r"\+")
    _refuses(message, features, rois, gradient)
    with pytest.raises(ValueError, match=message):
        checks.check_roi_values(rois, 3)


def _refuses(message: str, features: Tensor, rois: Tensor, gradient: Tensor) -> None:
    """Every operator looks itself, as it must not read or write elsewhere."""
    ops = torch.ops.prroi_pool
    for call in (
        lambda: ops.pool(features, rois, *gradient.shape[2:], 1 / 8),
        lambda: ops.pool_backward_features(gradient, rois, *features.shape[:1], *features.shape[2:], 1 / 8),
        lambda: ops.pool_backward_rois(gradient, features, rois, 1 / 8),
    ):
        with pytest.raises(RuntimeError, match=message):
            call()


def test_shapes_and_dtypes_that_do_not_fit() -> None:
    features, rois, gradient = inputs_for("less than a vector")
    ops = torch.ops.prroi_pool
    for words, call in {
        "features must have four dimensions": lambda: ops.pool(features[0], rois, 2, 3, 1.0),
        r"rois must be \(R, 5\)": lambda: ops.pool(features, rois[:, 1:], 2, 3, 1.0),
        "at least 1": lambda: ops.pool(features, rois, 0, 3, 1.0),
        "features must be float32 or float64": lambda: ops.pool(features.half(), rois, 2, 3, 1.0),
        "rois must have the dtype of features": lambda: ops.pool(features, rois.float(), 2, 3, 1.0),
        "grad must be": lambda: ops.pool_backward_rois(gradient[:4], features, rois, 1.0),
        r"grad must be \(R, C": lambda: ops.pool_backward_features(gradient[:4], rois, 3, 5, 3, 1.0),
        "at least one bin": lambda: ops.pool_backward_features(gradient[..., :0], rois, 3, 5, 3, 1.0),
        "at least one bin in": lambda: ops.pool_backward_rois(gradient[:, :, :0], features, rois, 1.0),
    }.items():
        with pytest.raises(RuntimeError, match=words):
            call()


# --- the operators as PyTorch sees them -------------------------------------------------------------------------


@pytest.mark.parametrize("operator", ["pool", "pool_backward_features", "pool_backward_rois"])
@pytest.mark.parametrize("differentiable", [False, True])
def test_operators_keep_what_they_promise(operator: str, differentiable: bool) -> None:
    features, rois, gradient = (
        tensor[:8].requires_grad_(differentiable) for tensor in inputs_for("less than a vector")
    )
    arguments = {
        "pool": (features, rois, 2, 3, 1 / 8),
        "pool_backward_features": (gradient, rois, 3, 5, 3, 1 / 8),
        "pool_backward_rois": (gradient, features, rois, 1 / 8),
    }
    torch.library.opcheck(getattr(torch.ops.prroi_pool, operator), arguments[operator])


def _away_from_kinks() -> tuple[Tensor, Tensor]:
    """Features and coordinates of two boxes whose edges lie between the cells, for numerical derivatives."""
    random = torch.Generator().manual_seed(0)
    corners = torch.tensor([[1.3, 0.6, 4.2, 3.7], [-1.4, 2.35, 2.55, 6.2]], dtype=torch.float64)
    return torch.randn(2, 2, 5, 6, generator=random, dtype=torch.float64).requires_grad_(), corners.requires_grad_()


def _rois(corners: Tensor) -> Tensor:
    return torch.cat([corners.new_tensor([[1.0], [0]]), corners], 1)


def test_derivatives_of_every_order_are_the_numerical_ones() -> None:
    features, corners = _away_from_kinks()

    def pool(features: Tensor, corners: Tensor) -> Tensor:
        return operators.pool(features, _rois(corners), 2, 2, 1.0)

    assert torch.autograd.gradcheck(pool, (features, corners))
    assert torch.autograd.gradgradcheck(pool, (features, corners))


def test_derivatives_of_the_derivatives() -> None:
    """Of the two operators for the backward pass themselves, first and second."""
    features, corners = _away_from_kinks()
    gradient = torch.randn(2, 2, 2, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64).requires_grad_()

    def in_features(gradient: Tensor, corners: Tensor) -> Tensor:
        return operators.pool_backward_features(gradient, _rois(corners), 2, 5, 6, 1.0)

    def in_rois(gradient: Tensor, features: Tensor, corners: Tensor) -> Tensor:
        return operators.pool_backward_rois(gradient, features, _rois(corners), 1.0)

    for function, inputs in ((in_features, (gradient, corners)), (in_rois, (gradient, features, corners))):
        assert torch.autograd.gradcheck(function, inputs)
        assert torch.autograd.gradgradcheck(function, inputs)


def test_gradient_of_only_what_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    features, rois, gradient = inputs_for("IoU-Net, coarse")
    called: list[str] = []
    for name in ("pool_backward_features", "pool_backward_rois"):
        original = getattr(operators, name)
        monkeypatch.setattr(operators, name, lambda *a, name=name, run=original: called.append(name) or run(*a))
    by_operator(features.requires_grad_(), rois, 3, 3, 1 / 8).backward(gradient)
    by_operator(features.detach(), rois.requires_grad_(), 3, 3, 1 / 8).backward(gradient)
    assert called == ["pool_backward_features", "pool_backward_rois"]


BATCHED = [dims for dims in itertools.product((0, None), repeat=3) if any(dim == 0 for dim in dims)]


@pytest.mark.parametrize("dims", BATCHED, ids=str)
def test_vmap_of_all_three_operators(dims: tuple[int | None, ...]) -> None:
    """Over any of features, boxes and the gradient, with the batch of each in another place."""
    features, rois, gradient = inputs_for("less than a vector")
    given = [
        tensor * (1 + 0.1 * torch.arange(4.0, dtype=torch.float64).view(4, *(1,) * tensor.dim()))
        for tensor in (features, rois, gradient)
    ]
    given[1][..., 0] = rois[:, 0]
    given = [tensor if dim == 0 else tensor[1] for tensor, dim in zip(given, dims, strict=True)]

    def all_three(features: Tensor, rois: Tensor, gradient: Tensor) -> tuple[Tensor, ...]:
        pooled, back = vjp(lambda f, r: operators.pool(f, r, 2, 3, 1 / 8), features, rois)
        return (pooled, *back(gradient))

    one_by_one = [
        all_three(*(tensor[k] if dim == 0 else tensor for tensor, dim in zip(given, dims, strict=True)))
        for k in range(4)
    ]
    places = [place if dim == 0 else None for place, dim in zip((3, 1, 2), dims, strict=True)]
    moved = [tensor if place is None else tensor.movedim(0, place) for tensor, place in zip(given, places, strict=True)]
    for found, right in zip(vmap(all_three, tuple(places))(*moved), zip(*one_by_one, strict=True), strict=True):
        torch.testing.assert_close(found, torch.stack(right), rtol=1e-12, atol=1e-12)


def test_vmap_counts_images_beyond_half_precision() -> None:
    """A batch of 300 times 3 images: bfloat16 counts to 256."""
    rois = boxes_of_every_kind(5, 6)[:8].to(torch.bfloat16)
    folded = operators._fold_rois(rois, None, 300, 3)
    assert folded.dtype == torch.float32
    assert torch.equal(folded[:, 0].view(300, 8), rois[:, 0] + 3 * torch.arange(300.0)[:, None])
    assert torch.equal(folded[-8:, 1:], rois[:, 1:].float())


def test_torch_func_inside_torch_compile_takes_the_exact_path() -> None:
    features, rois, _ = inputs_for("less than a vector")

    def loss(features: Tensor, rois: Tensor, backend: str = "auto") -> Tensor:
        return prroi_pool2d(features, rois, 2, 3, 1 / 8, backend=backend).sin().sum()

    torch.compiler.reset()
    found = torch.compile(grad(loss, (0, 1)), fullgraph=True, backend="aot_eager")(features, rois)
    for one, other in zip(found, grad(loss, (0, 1))(features, rois), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-11)
