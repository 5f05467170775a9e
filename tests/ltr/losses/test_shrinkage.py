"""Every form of the shrinkage loss, with its gradient, against the official numbers (tests/goldens/dcfst)."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from ltr.losses.shrinkage import LOCATOR_LOSSES, LocatorLoss, shrinkage_loss

GOLDENS = np.load(Path(__file__).parents[2] / "goldens" / "dcfst" / "losses.npz")
FORMS: dict[str, LocatorLoss] = {
    "code_mean_clamped": LOCATOR_LOSSES["shrinkage"],
    "eq4_eccv": LOCATOR_LOSSES["shrinkage_eccv"],
    "eq4_arxiv": LOCATOR_LOSSES["shrinkage_arxiv"],
    "eq5_eccv": LOCATOR_LOSSES["original_eccv"],
    "eq5_arxiv": LOCATOR_LOSSES["original_arxiv"],
    "mse_mean": LOCATOR_LOSSES["mse"],
}


@pytest.mark.parametrize("name", FORMS)
def test_loss_and_gradient_are_the_official_ones(name: str) -> None:
    scores = torch.from_numpy(GOLDENS["pred"]).requires_grad_()
    loss = FORMS[name](scores, torch.from_numpy(GOLDENS["y"]))
    loss.backward()
    np.testing.assert_allclose(loss.item(), GOLDENS[name], rtol=1e-12)
    np.testing.assert_allclose(scores.grad, GOLDENS[f"{name}_grad"], atol=1e-12)


def test_which_scores_are_hard() -> None:
    labels, far = torch.tensor([0.5]), 1.0
    below, above = labels - far, labels + far
    free = {hard: partial(shrinkage_loss, hard=hard, clip=None) for hard in ("far", "below", "above")}
    assert free["far"](below, labels) == free["far"](above, labels) == free["below"](below, labels)
    assert free["above"](above, labels) == free["far"](above, labels)
    assert free["below"](above, labels) < 1e-4 < 1 < free["below"](below, labels)
    assert LOCATOR_LOSSES["original"](above, labels) < 1e-4 < LOCATOR_LOSSES["original"](below, labels)


def test_sums_are_over_the_proposals_of_an_image() -> None:
    labels, scores = torch.rand(3, 7, dtype=torch.float64), torch.rand(3, 7, dtype=torch.float64)
    one_by_one = [LOCATOR_LOSSES["shrinkage_eccv"](s, y).item() for s, y in zip(scores, labels, strict=True)]
    assert LOCATOR_LOSSES["shrinkage_eccv"](scores, labels).item() == pytest.approx(np.mean(one_by_one))


@pytest.mark.parametrize("name", LOCATOR_LOSSES)
def test_huge_errors_keep_finite_gradients(name: str) -> None:
    scores = torch.tensor([[1e4, -1e4, 0.0]], requires_grad=True)
    LOCATOR_LOSSES[name](scores, torch.tensor([[0.0, 1.0, 0.0]])).backward()
    assert scores.grad is not None and scores.grad.isfinite().all()


def test_an_unknown_form_is_refused() -> None:
    with pytest.raises(ValueError, match="hard must be one of far, below, above, not 'near'"):
        shrinkage_loss(torch.zeros(1), torch.zeros(1), hard="near")  # type: ignore[arg-type]
