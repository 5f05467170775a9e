"""Ridge regression against official solutions (tests/goldens/dcfst), finite differences, and systems without one."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from ltr.ops import ridge
from ltr.ops.ridge import (
    Side,
    gauss_seidel,
    normal_equations,
    ridge_regression,
    solve_normal_equations,
    update_normal_equations,
)

GOLDENS = np.load(Path(__file__).parents[2] / "goldens" / "dcfst" / "ridge.npz")
LAST_TWICE = [0, 1, 2, 3, 4, 4]
SIDES: tuple[Side, ...] = ("primal", "dual")


def drawn(tag: str) -> np.random.RandomState:
    """What the goldens' inputs were drawn from."""
    return np.random.RandomState(zlib.crc32(f"input:{tag}".encode()) & 0x7FFFFFFF)


@pytest.fixture
def system() -> tuple[Tensor, Tensor]:
    """The goldens' system for Gauss-Seidel, without the regularization."""
    x, y = drawn("gs.X").standard_normal((100, 64)), drawn("gs.y").random_sample((100, 1))[:, 0]
    return normal_equations(torch.from_numpy(x), torch.from_numpy(y))


def ill_conditioned(batch: int = 2, count: int = 120, size: int = 128, decades: float = 4) -> tuple[Tensor, Tensor]:
    """Float32 features with singular values over some decades and mean squares of 1, as DCFST's are."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(batch, count, size, generator=generator, dtype=torch.float64)
    u, _, vt = torch.linalg.svd(x, full_matrices=False)
    x = u * torch.logspace(0, -decades, u.shape[-1], dtype=torch.float64) @ vt
    x = x / x.square().mean(1, keepdim=True).sqrt()
    return x.float(), torch.rand(batch, count, generator=generator)


@pytest.mark.parametrize("side", ["auto", *SIDES])
@pytest.mark.parametrize(("count", "size"), [(49, 1024), (961, 64), (96, 96)])
def test_solutions_are_the_official_ones(count: int, size: int, side: Side) -> None:
    x = torch.from_numpy(drawn(f"ridge.X.{count}.{size}").standard_normal((count, size)))
    y = torch.from_numpy(drawn(f"ridge.y.{count}.{size}").random_sample((count, 1))[:, 0])
    model = ridge_regression(x[None], y[None], 0.1, side)[0]
    np.testing.assert_allclose(model, GOLDENS[f"w_{count}x{size}"], atol=1e-11)


@pytest.mark.parametrize(("count", "size", "side"), [(7, 4, "primal"), (4, 7, "dual"), (5, 5, "primal")])
def test_the_smaller_system_is_the_one_that_is_solved(
    count: int, size: int, side: Side, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Primal where D <= N, dual where D > N."""
    factor, shapes = ridge._factor, []
    monkeypatch.setattr(ridge, "_factor", lambda gram, added: shapes.append(tuple(gram.shape)) or factor(gram, added))
    x, y = torch.rand(2, count, size), torch.rand(2, count)
    model = ridge_regression(x, y, 0.1)
    assert shapes == [(2, min(count, size), min(count, size))]
    assert torch.equal(model, ridge_regression(x, y, 0.1, side))


@pytest.mark.parametrize("side", SIDES)
def test_gradients_are_the_official_ones(side: Side) -> None:
    x = torch.from_numpy(drawn("ridge.gradX").standard_normal((6, 9))).requires_grad_()
    y = torch.from_numpy(drawn("ridge.grady").random_sample((6, 1))[:, 0]).requires_grad_()
    model = ridge_regression(x[None], y[None], 0.1, side)[0]
    (model * torch.from_numpy(drawn("ridge.gradc").standard_normal((9, 1))[:, 0])).sum().backward()
    np.testing.assert_allclose(model.detach(), GOLDENS["grad_w"], atol=1e-12)
    np.testing.assert_allclose(x.grad, GOLDENS["grad_X"], atol=1e-11)
    np.testing.assert_allclose(y.grad, GOLDENS["grad_y"], atol=1e-12)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("shape", [(2, 7, 4), (2, 4, 7)])
def test_gradients_against_differences(shape: tuple[int, int, int], side: Side) -> None:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(shape, generator=generator, dtype=torch.float64, requires_grad=True)
    y = torch.rand(shape[:2], generator=generator, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, y: ridge_regression(x, y, 0.1, side), (x, y))


@pytest.mark.parametrize("shape", [(1, 7, 4), (1, 4, 7)])
def test_without_regularization_it_is_least_squares(shape: tuple[int, int, int]) -> None:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64, requires_grad=True)
    y = torch.rand(shape[:2], generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    torch.testing.assert_close(ridge_regression(x, y, 0.0)[0], torch.linalg.pinv(x[0].detach()) @ y[0])
    assert torch.autograd.gradcheck(lambda x: ridge_regression(x, y, 0.0), (x,))


def test_float32_is_as_good_as_its_features() -> None:
    x, y = ill_conditioned()
    exact = [ridge_regression(x.double(), y.double(), 0.1, side) for side in SIDES]
    torch.testing.assert_close(exact[0], exact[1], atol=1e-9, rtol=0)
    condition = torch.linalg.cond(x[0].double().T @ x[0].double() + 0.1 * torch.eye(128))
    assert condition > 1e4
    for side in SIDES:
        model = ridge_regression(x, y, 0.1, side)
        assert model.dtype == torch.float32
        torch.testing.assert_close(model.double(), exact[0], atol=1e-7 * float(exact[0].abs().max()), rtol=1e-6)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(ridge_regression(x, y, 0.1, side), model)


@pytest.mark.parametrize("regularization", [0.0, 1e-30, 0.1])
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("kind", ["zero", "equal rows", "equal columns", "huge", "tiny"])
def test_singular_systems_have_finite_solutions_and_gradients(kind: str, side: Side, regularization: float) -> None:
    regular = torch.randn(9, 6, generator=torch.Generator().manual_seed(4))
    singular = {
        "zero": torch.zeros(9, 6),
        "equal rows": regular[:1].expand(9, 6),
        "equal columns": regular[:, :1].expand(9, 6),
        "huge": 1e12 * regular[:, LAST_TWICE],
        "tiny": 1e-12 * regular[:, LAST_TWICE],
    }[kind]
    x = torch.stack([singular, regular]).requires_grad_()
    y = torch.rand(2, 9, generator=torch.Generator().manual_seed(5)).requires_grad_()
    model = ridge_regression(x, y, regularization, side)
    model.sum().backward()
    assert model.isfinite().all()
    assert x.grad is not None and x.grad.isfinite().all() and y.grad is not None and y.grad.isfinite().all()
    if regularization == 0.1:  # a bad neighbour changes nothing
        alone = ridge_regression(x[1:], y[1:], regularization, side)
        torch.testing.assert_close(model[1:], alone, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(
    ("features", "labels", "regularization", "side", "message"),
    [
        ((2, 5, 3), (2, 4), 0.1, "auto", r"features must be \(B, N, D\) and labels \(B, N\), not \(2, 5, 3\) and"),
        ((5, 3), (5,), 0.1, "auto", "features must be"),
        ((2, 5, 3), (2, 5), -1.0, "auto", "regularization must be at least 0, not -1.0"),
        ((2, 5, 3), (2, 5), float("nan"), "auto", "regularization must be at least 0"),
        ((2, 5, 3), (2, 5), 0.1, "both", "side must be one of auto, primal, dual, not 'both'"),
    ],
)
def test_bad_input_is_refused(
    features: tuple[int, ...], labels: tuple[int, ...], regularization: float, side: Side, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        ridge_regression(torch.rand(features), torch.rand(labels), regularization, side)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_features_that_are_not_finite_spoil_their_own_model_alone(value: float, side: Side) -> None:
    features, labels = torch.rand(2, 5, 5), torch.rand(2, 5)
    features[1, 2, 3] = value
    features.requires_grad_()
    model = ridge_regression(features, labels, 0.1, side)
    model[0].sum().backward()
    assert model[1].isnan().all()
    torch.testing.assert_close(model[:1], ridge_regression(features[:1], labels[:1], 0.1, side))
    assert features.grad is not None and features.grad[0].isfinite().all()
    gram, moment = normal_equations(features[1].detach(), labels[1])
    assert solve_normal_equations(gram, moment, 0.1).isnan().all()


def test_sweeps_are_the_official_ones(system: tuple[Tensor, Tensor]) -> None:
    start = torch.from_numpy(0.01 * drawn("gs.w0").standard_normal(64))
    for sweeps in (0, 1, 2, 3, 4, 5, 10, 30):
        model = gauss_seidel(*system, start, sweeps, 0.1)
        np.testing.assert_allclose(model, GOLDENS[f"w_iter{sweeps}"], atol=1e-12)
        error = np.linalg.norm(model.numpy() - GOLDENS["w_closed"])
        np.testing.assert_allclose(error, GOLDENS["err_l2"][sweeps], rtol=1e-9)
    np.testing.assert_allclose(solve_normal_equations(*system, 0.1), GOLDENS["w_closed"], atol=1e-12)


def test_sweeps_converge_in_float32_from_anywhere() -> None:
    x, y = ill_conditioned(1, 300, 32, decades=1.5)
    gram, moment = normal_equations(x[0], y[0])
    exact = ridge_regression(x.double(), y.double(), 0.1)[0]
    model = gauss_seidel(gram, moment, torch.full((32,), 10.0), 2000, 0.1)
    torch.testing.assert_close(model.double(), exact, atol=1e-3 * float(exact.abs().max()), rtol=0)
    again = gauss_seidel(gram, moment, model, 30, 0.1)
    assert (again - model).norm() <= 1e-4 * model.norm()  # a solution stays one


def test_sweeps_leave_what_is_in_no_equation() -> None:
    gram, moment = torch.zeros(3, 3), torch.zeros(3)
    gram[1, 1], moment[1] = 2.0, 4.0
    assert gauss_seidel(gram, moment, torch.tensor([1.0, 0.0, -1.0]), 3).tolist() == [1.0, 2.0, -1.0]


def test_normal_equations_are_updated_in_place(system: tuple[Tensor, Tensor]) -> None:
    generator = torch.Generator().manual_seed(6)
    x, y = torch.randn(20, 64, generator=generator).double(), torch.rand(20, generator=generator).double()
    gram, moment = system[0].clone(), system[1].clone()
    update_normal_equations(gram, moment, x, y, 0.25)
    torch.testing.assert_close(gram, 0.75 * system[0] + 0.25 * x.T @ x)
    torch.testing.assert_close(moment, 0.75 * system[1] + 0.25 * x.T @ y)
    before = gram.clone()
    solve_normal_equations(gram, moment, 0.1)
    gauss_seidel(gram, moment, moment, 2, 0.1)
    assert torch.equal(gram, before)
