"""The hinge of DiMP's Eq. 8 against official numbers (tests/goldens/dimp) and by hand."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from ltr.losses.target_classification import hinge_regression_loss

GOLDENS = np.load(Path(__file__).parents[2] / "goldens" / "dimp" / "losses.npz")


@pytest.mark.parametrize(
    ("name", "threshold", "clip"),
    [("thr0.05", 0.05, None), ("nothr", -math.inf, None), ("thr0.05_clip0.01", 0.05, 0.01)],
)
def test_loss_and_gradient_as_in_the_official_code(name: str, threshold: float, clip: float | None) -> None:
    labels = torch.from_numpy(GOLDENS["label_k4"]).reshape(3, 2, 19, 19)
    scores = torch.from_numpy(GOLDENS["pred"]).requires_grad_()
    loss = hinge_regression_loss(scores, labels, threshold, clip)
    loss.backward()
    assert loss.item() == pytest.approx(float(GOLDENS[f"lbhinge_{name}"]), rel=1e-6)
    expected = np.zeros_like(scores.detach()) if clip else GOLDENS[f"lbhinge_{name}_grad"]
    np.testing.assert_allclose(scores.grad, expected, rtol=1e-5, atol=1e-9)


def test_background_may_be_as_negative_as_it_likes() -> None:
    labels = torch.tensor([0.0, 0.0, 0.04, 1.0, 0.5])
    scores = torch.tensor([-9.0, 0.3, 0.1, 0.4, -0.5])
    by_hand = (0.3**2 + 0.1**2 + 0.6**2 + 1.0**2) / 5
    assert hinge_regression_loss(scores, labels).item() == pytest.approx(by_hand)
