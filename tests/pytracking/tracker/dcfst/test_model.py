"""What a model learns from frame to frame, against the equations written out."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from pytracking.tracker.dcfst.grid import Grid
from pytracking.tracker.dcfst.model import Form, Learning, TargetModel, mixing_coefficient

D, N = 6, 20


def frames(count: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(N, D, generator=generator) for _ in range(count)]


def labels() -> Tensor:
    return torch.linspace(0, 1, N)


def solved(features: Tensor, values: Tensor, regularization: float = 0.1) -> Tensor:
    gram = features.T @ features + regularization * torch.eye(D)
    return torch.linalg.solve(gram, features.T @ values)


def model_of(samples: list[Tensor], **how: Any) -> TargetModel:
    return TargetModel(iter(samples), labels(), Learning(**how))


def test_the_first_model_solves_the_mean_of_the_samples() -> None:
    samples = frames(3)
    mean = torch.stack(samples).mean(0)
    torch.testing.assert_close(model_of(samples).weights, solved(mean, labels()), atol=1e-5, rtol=1e-4)


def test_the_first_model_solves_all_samples_together() -> None:
    """The mean of the normal equations is that of all rows: a third of lambda for each of the three."""
    samples = frames(3)
    expected = solved(torch.cat(samples), labels().repeat(3), 0.3)
    torch.testing.assert_close(model_of(samples, form="normal_equations").weights, expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("form", ["features", "normal_equations"])
def test_equation_7(form: Form) -> None:
    first, second, third = frames(3)
    model = model_of([first], form=form, solver="direct")
    before = model.weights
    model.learn(second, labels(), 0.1)
    model.learn(third, labels(), 0.25)
    assert torch.equal(model.weights, before)  # until it is trained
    model.train()
    shares = (0.75 * 0.9, 0.75 * 0.1, 0.25)
    if form == "features":
        mean = sum(share * part for share, part in zip(shares, (first, second, third), strict=True))
        expected = solved(mean, labels())
    else:
        weighted = [share**0.5 * part for share, part in zip(shares, (first, second, third), strict=True)]
        expected = solved(torch.cat(weighted), torch.cat([share**0.5 * labels() for share in shares]))
    torch.testing.assert_close(model.weights, expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("form", ["features", "normal_equations"])
def test_labels_of_its_own(form: Form) -> None:
    """A frame whose target stands elsewhere has other labels; with rate 1 and no first frame it is all there is."""
    first, second = frames(2)
    model = model_of([first], form=form, solver="direct", minimum_initial_weight=0.0)
    model.learn(second, labels().flip(0), 1.0)
    model.train()
    torch.testing.assert_close(model.weights, solved(second, labels().flip(0)), atol=1e-5, rtol=1e-4)


def test_gauss_seidel_goes_on_from_the_last_model() -> None:
    first, second = frames(2)
    models = {sweeps: model_of([first], sweeps=sweeps) for sweeps in (0, 1, 2, 300)}
    for model in models.values():
        model.learn(second, labels(), 0.5)
        model.train()
    begin = model_of([first]).weights
    assert torch.equal(models[0].weights, begin)
    mean = (first + second) / 2
    exact = solved(mean, labels())
    distances = [float((models[sweeps].weights - exact).norm()) for sweeps in (0, 1, 2, 300)]
    assert distances == sorted(distances, reverse=True) and distances[-1] < 1e-5 < distances[2]
    models[1].train()  # the second sweep
    torch.testing.assert_close(models[1].weights, models[2].weights)


def test_scores() -> None:
    (first,) = frames(1)
    model = model_of([first])
    torch.testing.assert_close(model.score(first), first @ model.weights)


def test_no_sample_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one sample"):
        model_of([])


def test_nothing_needs_to_be_mixed_in() -> None:
    assert mixing_coefficient(0.3, 0.25) == 0 and mixing_coefficient(1.0, 0.25) == 0
    assert mixing_coefficient(0.0, 0.25) == 0.25


def test_what_is_given_is_not_changed() -> None:
    first, second = frames(2)
    kept, values = (first.clone(), second.clone()), labels()
    model = TargetModel([first], values, Learning())
    model.learn(second, values, 0.9)
    assert torch.equal(first, kept[0]) and torch.equal(second, kept[1]) and torch.equal(values, labels())


def test_proposals_count_x_fastest() -> None:
    grid = Grid(100, 5.0, 5, torch.device("cpu"))  # centres at 10, 30 .. 90
    x, y = grid.centre(torch.tensor(1 * 5 + 3))
    assert (float(x), float(y)) == (70.0, 30.0)
    assert int(grid.gaussian(0.25, (70.0, 30.0)).argmax()) == 1 * 5 + 3
    away = grid.away(25.0, (70.0, 30.0)).reshape(5, 5)
    assert not away[1, 2:5].any() and away[1, :2].all() and not away[0, 3] and away[0, 2]
    neighbours = [float(grid.gaussian(0.25, unit=unit)[2 * 5 + 3]) for unit in (20.0, 40.0)]
    assert neighbours == pytest.approx([math.exp(-8), math.exp(-2)], rel=1e-4)  # 20 pixels, of deviations 5 and 10
