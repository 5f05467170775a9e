"""What PyTorch does with functions: mixed precision, compilation, export, batching, derivatives of every kind."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.func import grad, hessian, jacfwd, jacrev, jvp, vmap

from prroi_pool import PrRoIPool2D, prroi_pool2d, prroi_pool_grid

Make = Callable[..., Tensor]
Pool = Callable[[Tensor, Tensor], Tensor]


@pytest.fixture(scope="session")
def features(make_features: Make) -> Tensor:
    return make_features(2, 3, 7, 9)


@pytest.fixture(scope="session")
def rois(make_boxes: Make) -> Tensor:
    return make_boxes(4, images=2, extent=16.0)


@pytest.fixture(scope="session")
def pool(backend: str) -> Pool:
    return lambda features, rois: prroi_pool2d(features, rois, 2, 3, 0.5, backend=backend)


def exact(features: Tensor, rois: Tensor) -> Tensor:
    return prroi_pool2d(features, rois, 2, 3, 0.5, backend="exact")


def on_grid(features: Tensor, x0: Tensor, y0: Tensor, roi_size: Tensor, backend: str = "exact") -> Tensor:
    return prroi_pool_grid(features, x0, y0, roi_size, 2, 3, 0.5, backend=backend)


def grid_of(features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    x0, y0 = features.new_tensor([[1, 2.2, 3.1], [2.4, 0.3, 7]]), features.new_tensor([[1, 2.2], [-1, 5.5]])
    return x0, y0, features.new_tensor([[3, 4.5], [7.1, 2]])


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-10)


def batches(features: Tensor, rois: Tensor) -> tuple[Tensor, Tensor]:
    """Three maps and three sets of boxes; the images that the boxes lie on differ from set to set."""
    moved = rois + torch.tensor([0.0, 0.3, 0.2, 0.4, 0.1])
    other = torch.cat([1 - rois[:, :1], rois[:, 1:] * 1.1], dim=1)
    return torch.stack([features, features.flip(0), features.sin()]), torch.stack([rois, moved, other])


# --- mixed precision --------------------------------------------------------------------------------------------


def test_autocast_leaves_the_precision_of_the_features(backend: str, features: Tensor, rois: Tensor) -> None:
    """Products in bfloat16 would round the weights, which boxes a few pixels apart share but for their last digits."""
    for dtype in (torch.float32, torch.bfloat16):
        given, boxes = features.to(dtype), rois.float()
        expected = prroi_pool2d(given, boxes, 2, 3, 0.5, backend=backend)
        expected_grid = on_grid(given, *(tensor.float() for tensor in grid_of(features)))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(prroi_pool2d(given, boxes, 2, 3, 0.5, backend=backend), expected)
            assert torch.equal(on_grid(given, *(tensor.float() for tensor in grid_of(features))), expected_grid)


def test_layers_around_it_in_autocast(backend: str) -> None:
    """bfloat16 features out of one layer, boxes in float32, gradients to both."""
    before, after = torch.nn.Conv2d(2, 4, 3), torch.nn.Linear(4 * 9, 1)
    boxes = torch.tensor([[0, 1.0, 2, 6, 5], [1, 0, 0, 8, 8]], requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        maps = before(torch.ones(2, 2, 12, 12))
        pooled = prroi_pool2d(maps, boxes, 3, 3, backend=backend)
        assert pooled.dtype == maps.dtype == torch.bfloat16
        after(pooled.flatten(1)).sum().backward()
    assert before.weight.grad is not None
    assert before.weight.grad.any()
    assert boxes.grad is not None
    assert boxes.grad[:, 1:].any()


def test_inference_mode(pool: Pool, features: Tensor, rois: Tensor) -> None:
    with torch.inference_mode():
        pooled = pool(features, rois)
        gridded = on_grid(features, *grid_of(features))
    assert torch.equal(pooled, pool(features, rois))
    assert torch.equal(gridded, on_grid(features, *grid_of(features)))


# --- compilation and export -------------------------------------------------------------------------------------


def _compare_compiled(function: Callable[..., Tensor], compiled: Callable[..., Tensor], *inputs: Tensor) -> None:
    given = [tensor.detach().clone().requires_grad_() for tensor in inputs]
    expected, found = function(*given), compiled(*given)
    close(found, expected)
    for one, other in zip(
        torch.autograd.grad(found.sin().sum(), given), torch.autograd.grad(expected.sin().sum(), given), strict=True
    ):
        close(one, other)


@pytest.mark.parametrize(
    "compiler", ["aot_eager", pytest.param("inductor", marks=[pytest.mark.slow, pytest.mark.timeout(600)])]
)
def test_compiled_in_one_graph(compiler: str, pool: Pool, features: Tensor, rois: Tensor) -> None:
    """Forward and backward, for one image and for several, with sizes that change from call to call."""
    torch.compiler.reset()
    compiled = torch.compile(pool, fullgraph=True, dynamic=True, backend=compiler)
    _compare_compiled(pool, compiled, features, rois)
    _compare_compiled(pool, compiled, torch.cat([features, features]), rois[:3])
    one = torch.cat([0 * rois[:, :1], rois[:, 1:]], dim=1)
    _compare_compiled(pool, compiled, features[:1], one)


@pytest.mark.parametrize(
    "compiler", ["aot_eager", pytest.param("inductor", marks=[pytest.mark.slow, pytest.mark.timeout(600)])]
)
def test_grid_compiled_in_one_graph(compiler: str, backend: str, features: Tensor) -> None:
    torch.compiler.reset()
    function = partial(on_grid, backend=backend)
    _compare_compiled(on_grid, torch.compile(function, fullgraph=True, backend=compiler), features, *grid_of(features))


def test_export_needs_nothing_of_ours(features: Tensor, rois: Tensor) -> None:
    """The exported program is made of PyTorch's operators, also where the compiled ones would serve."""
    module = PrRoIPool2D(2, 3, 0.5)
    sizes = {"features": {0: torch.export.Dim("images")}, "rois": {0: torch.export.Dim("boxes")}}
    program = torch.export.export(module, (features, rois), dynamic_shapes=sizes)
    assert not [node for node in program.graph.nodes if "prroi_pool" in str(node.target)]
    close(program.module()(features, rois), exact(features, rois))
    more = torch.cat([features, 2 * features])
    boxes = torch.cat([rois, rois + torch.tensor([2.0, 0, 0, 1, 1])])
    close(program.module()(more, boxes), exact(more, boxes))


@pytest.mark.parametrize("images", [1, 2])
def test_onnx(images: int, features: Tensor, rois: Tensor, tmp_path: Path) -> None:
    """Exported, loaded by onnxruntime, and run on another number of boxes."""
    pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    given = (features[:images].float(), torch.cat([rois[:, :1] % images, rois[:, 1:]], dim=1).float())
    module = PrRoIPool2D(2, 3, 0.5).eval()
    sizes = {"features": None, "rois": {0: torch.export.Dim("boxes")}}
    program = torch.onnx.export(module, given, dynamo=True, dynamic_shapes=sizes, verbose=False)
    assert program is not None
    program.save(str(tmp_path / "pool.onnx"))
    session = runtime.InferenceSession(str(tmp_path / "pool.onnx"), providers=["CPUExecutionProvider"])
    more = torch.cat([given[1], given[1] + torch.tensor([0, 1.5, 2, -0.3, 3])])
    (found,) = session.run(None, {"features": given[0].numpy(), "rois": more.numpy()})
    torch.testing.assert_close(torch.from_numpy(found), exact(given[0], more), rtol=0, atol=2e-6)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning", "ignore::FutureWarning")
def test_traced(features: Tensor, rois: Tensor) -> None:
    """A trace is right for other boxes and other images of them than the ones it was made with."""
    traced = torch.jit.trace(exact, (features, rois))
    other = torch.cat([1 - rois[:3, :1], rois[:3, 1:] + 0.7], dim=1)
    close(traced(features, other), exact(features, other))


# --- batching ---------------------------------------------------------------------------------------------------


def test_vmap_over_features_boxes_and_both(pool: Pool, features: Tensor, rois: Tensor) -> None:
    many_features, many_rois = batches(features, rois)
    close(vmap(pool, (0, None))(many_features, rois), torch.stack([exact(one, rois) for one in many_features]))
    close(vmap(pool, (None, 0))(features, many_rois), torch.stack([exact(features, one) for one in many_rois]))
    expected = torch.stack([exact(one, other) for one, other in zip(many_features, many_rois, strict=True)])
    close(vmap(pool)(many_features, many_rois), expected)
    moved = vmap(pool, (3, 1), out_dims=2)(many_features.movedim(0, 3), many_rois.movedim(0, 1))
    close(moved, expected.movedim(0, 2))
    twice = vmap(vmap(pool, (None, 0)), (0, None))(many_features, many_rois)
    close(twice[1, 2], exact(many_features[1], many_rois[2]))


def test_vmap_of_the_gradient(pool: Pool, features: Tensor, rois: Tensor) -> None:
    """Per-sample gradients to both inputs."""
    many_features, many_rois = batches(features, rois)
    found = vmap(grad(lambda f, r: pool(f, r).sin().sum(), argnums=(0, 1)))(many_features, many_rois)
    leaves = many_features.requires_grad_(), many_rois.requires_grad_()
    total = sum(exact(one, other).sin().sum() for one, other in zip(*leaves, strict=True))
    assert isinstance(total, Tensor)
    for one, other in zip(found, torch.autograd.grad(total, leaves), strict=True):
        close(one, other)


def test_vmap_of_the_grid(backend: str, features: Tensor) -> None:
    x0, y0, roi_size = grid_of(features)
    shifts = torch.tensor([0.0, 0.4, -2.0], dtype=torch.float64)
    found = vmap(lambda shift: on_grid(features, x0 + shift, y0, roi_size, backend))(shifts)
    close(found, torch.stack([on_grid(features, x0 + shift, y0, roi_size) for shift in shifts]))


def test_values_are_not_checked_inside_vmap(features: Tensor, rois: Tensor) -> None:
    """Python cannot look at them there: such a box gives NaN, and the others what they should."""
    broken = rois.clone()
    broken[1, 2] = torch.nan
    found = vmap(exact, (None, 0))(features, torch.stack([rois, broken]))
    close(found[0], exact(features, rois))
    assert found[1, 1].isnan().all()
    assert found[1, [0, 2, 3]].isfinite().all()


# --- derivatives ------------------------------------------------------------------------------------------------


def test_jacobians(pool: Pool, features: Tensor, rois: Tensor) -> None:
    for argument in (0, 1):
        expected = torch.autograd.functional.jacobian(exact, (features, rois))[argument]
        close(jacrev(pool, argument)(features, rois), expected)
        close(jacfwd(exact, argument)(features, rois), expected)


@pytest.mark.parametrize("way", ["auto", "exact"])
def test_forward_mode(way: str, features: Tensor, rois: Tensor) -> None:
    """`auto` takes the exact path for it."""

    def pool(features: Tensor, rois: Tensor) -> Tensor:
        return prroi_pool2d(features, rois, 2, 3, 0.5, backend=way)

    random = torch.Generator().manual_seed(0)
    along = torch.randn(features.shape, generator=random, dtype=torch.float64), torch.ones_like(rois)
    along[1][:, 0] = 0
    step = 1e-6
    ahead = exact(features + step * along[0], rois + step * along[1])
    behind = exact(features - step * along[0], rois - step * along[1])
    slope = (ahead - behind) / (2 * step)
    with forward_ad.dual_level():
        dual = pool(forward_ad.make_dual(features, along[0]), forward_ad.make_dual(rois, along[1]))
        tangent = forward_ad.unpack_dual(dual).tangent
    assert tangent is not None
    torch.testing.assert_close(tangent, slope, rtol=1e-5, atol=1e-6)
    close(jvp(pool, (features, rois), along)[1], tangent)


def test_double_backward(pool: Pool, features: Tensor, rois: Tensor) -> None:
    """The gradient of a gradient's size, as a penalty on it needs."""

    def penalty(pool: Pool) -> tuple[Tensor, ...]:
        inputs = features.clone().requires_grad_(), rois.clone().requires_grad_()
        first = torch.autograd.grad(pool(*inputs).sin().sum(), inputs, create_graph=True)
        return torch.autograd.grad(sum(one.square().sum() for one in first), inputs)  # type: ignore[arg-type]

    for found, expected in zip(penalty(pool), penalty(exact), strict=True):
        close(found, expected)
        assert expected.any()


def test_hessian_in_the_boxes_is_symmetric(pool: Pool, features: Tensor, rois: Tensor) -> None:
    matrix = hessian(lambda boxes: exact(features, boxes).sin().sum())(rois).reshape(rois.numel(), rois.numel())
    close(matrix, matrix.mT)
    assert matrix.any()
    both_reverse = jacrev(jacrev(lambda boxes: pool(features, boxes).sin().sum()))(rois)
    close(both_reverse.reshape(matrix.shape), matrix)
