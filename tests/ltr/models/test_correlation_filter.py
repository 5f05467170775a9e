"""The correlation-filter layer against numbers of the official layers (tests/goldens/edcf)."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

from ltr.models.correlation.correlation_filter import apply_filter, centre_map, solve_filter

GOLDENS = np.load(Path(__file__).parents[2] / "goldens" / "edcf" / "correlation_filter.npz")
SHAPES = {"odd": (2, 8, 25, 25), "even": (1, 3, 16, 12), "one": (1, 1, 15, 15)}
FORMS = {"cacf_sum": "sum", "cacf_perchan": "per_channel", "cacf_exact": "exact"}


def recipe_input(tag: str, shape: tuple[int, ...]) -> torch.Tensor:
    """The goldens' deterministic inputs: normal numbers from a generator that the tag seeds."""
    state = np.random.RandomState(zlib.crc32(f"input:{tag}".encode()) & 0x7FFFFFFF)
    return torch.from_numpy(state.standard_normal(shape)).requires_grad_()


def inputs(case: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    batch, *rest = SHAPES[case]
    z, x = recipe_input(f"edcf.{case}.z", SHAPES[case]), recipe_input(f"edcf.{case}.x", SHAPES[case])
    return z, x, recipe_input(f"edcf.{case}.ctx", (batch, 4, *rest)), torch.from_numpy(GOLDENS[f"{case}/y"])


def assert_equals_golden(value: torch.Tensor, key: str) -> None:
    array = value.detach().numpy()
    if key in GOLDENS.files:
        np.testing.assert_allclose(array, GOLDENS[key], atol=1e-9)
        return
    sampled = array.reshape(-1)[GOLDENS[f"{key}/idx"]]
    np.testing.assert_allclose(sampled, GOLDENS[f"{key}/val"], atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(array), GOLDENS[f"{key}/l2"], rtol=1e-9)


@pytest.mark.parametrize("case", SHAPES)
def test_plain_filter_is_dcfnets_layer_with_its_gradients(case: str) -> None:
    z, x, _, y = inputs(case)
    response = apply_filter(x, solve_filter(z, y))
    loss = (response - y).square().sum()
    loss.backward()
    assert_equals_golden(response, f"{case}/dcfnet/response")
    assert loss.item() == pytest.approx(float(GOLDENS[f"{case}/dcfnet/loss"]), rel=1e-10)
    assert_equals_golden(z.grad, f"{case}/dcfnet/grad_z")
    assert_equals_golden(x.grad, f"{case}/dcfnet/grad_x")


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("case", SHAPES)
def test_context_filter_in_its_three_forms(case: str, name: str) -> None:
    z, x, contexts, y = inputs(case)
    response = apply_filter(x, solve_filter(z, y, contexts, form=FORMS[name]))
    # the exact form solves systems whose condition number reaches 1e7 in the golden's own float64
    tolerance = 1e-8 if name == "cacf_exact" else 1e-9
    np.testing.assert_allclose(response.detach().numpy(), GOLDENS[f"{case}/{name}/response"], atol=tolerance)
    if name == "cacf_exact":
        return
    (response - y).square().sum().backward()
    assert_equals_golden(z.grad, f"{case}/{name}/grad_z")
    assert_equals_golden(x.grad, f"{case}/{name}/grad_x")
    assert_equals_golden(contexts.grad, f"{case}/{name}/grad_ctx")


def spectra() -> dict[str, torch.Tensor]:
    """Full spectra of the single-channel case, in the letters of the paper."""
    z, x, contexts, y = inputs("one")
    z_hat, x_hat, y_hat = (torch.fft.fft2(t.detach()[0, 0] if t.dim() == 4 else t) for t in (z, x, y))
    c_hat = torch.fft.fft2(contexts.detach()[0, :, 0])
    denominator = z_hat.abs() ** 2 + 1e-4 + 0.1 * (c_hat.abs() ** 2).sum(0)
    w = z_hat.conj() * y_hat / denominator
    g_grad = 2 * (x_hat * w - y_hat)
    return {"z": z_hat, "x": x_hat, "y": y_hat, "c": c_hat, "d": denominator, "w": w, "g_grad": g_grad}


def autograd_gradients() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    z, x, contexts, y = inputs("one")
    (apply_filter(x, solve_filter(z, y, contexts)) - y).square().sum().backward()
    return z.grad[0, 0], x.grad[0, 0], contexts.grad[0, :, 0]


def test_equations_11_and_12_hold_as_printed() -> None:
    s = spectra()
    _, x_grad, _ = autograd_gradients()
    np.testing.assert_allclose(torch.fft.ifft2(s["g_grad"] * s["w"].conj()).real, x_grad, atol=1e-12)
    _, x, _, y = inputs("one")
    spatial_filter = torch.fft.ifft2(s["w"]).real.requires_grad_()
    response = apply_filter(x.detach(), torch.fft.rfft2(spatial_filter))
    (response - y).square().sum().backward()
    np.testing.assert_allclose(torch.fft.ifft2(s["g_grad"] * s["x"].conj()).real, spatial_filter.grad, atol=1e-11)


def test_corrected_equations_13_and_14_hold_and_the_printed_ones_do_not() -> None:
    s = spectra()
    z_grad, _, c_grad = autograd_gradients()
    big_g = s["g_grad"] * s["x"].conj()  # Eq. 12
    real = (big_g.conj() * s["w"]).real
    corrected_13 = torch.fft.ifft2((big_g.conj() * s["y"] - 2 * s["z"] * real) / s["d"]).real
    corrected_14 = torch.fft.ifft2(-2 * 0.1 * s["c"] * real / s["d"]).real
    np.testing.assert_allclose(corrected_13, z_grad, atol=1e-10)
    np.testing.assert_allclose(corrected_14, c_grad, atol=1e-10)
    printed_13 = torch.fft.ifft2(big_g * (s["y"].conj() - 2 * (s["z"].conj() * s["w"]).real) / s["d"]).real
    assert (printed_13 - z_grad).norm() > 0.5 * z_grad.norm()


def test_single_channel_case_of_equation_7() -> None:
    z, x = recipe_input("eq.z", (1, 1, 15, 15)), recipe_input("eq.x", (1, 1, 15, 15))
    contexts, y = recipe_input("eq.ctx", (1, 4, 1, 15, 15)), torch.from_numpy(GOLDENS["eq/y"])
    w = solve_filter(z, y, contexts)
    response = apply_filter(x, w)
    (response - y).square().sum().backward()
    np.testing.assert_allclose(w.detach()[0, 0], GOLDENS["eq/w"][:, :8], atol=1e-12)
    np.testing.assert_allclose(response.detach()[0, 0], GOLDENS["eq/g"], atol=1e-12)
    for gradient, name in ((z.grad[0, 0], "z"), (x.grad[0, 0], "x"), (contexts.grad[0, :, 0], "ctx")):
        np.testing.assert_allclose(gradient, GOLDENS[f"eq/grad_{name}"], atol=1e-10)


def test_filter_finds_a_shifted_target() -> None:
    z = recipe_input("shift", (1, 4, 25, 25)).detach()
    y = torch.from_numpy(GOLDENS["odd/y"])
    moved = torch.roll(z, (3, -5), dims=(-2, -1))
    score_map = centre_map(apply_filter(moved, solve_filter(z, y)))[0, 0]
    row, column = divmod(int(score_map.argmax()), 25)
    assert (row - 12, column - 12) == (3, -5)
