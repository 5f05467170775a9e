"""The loss of the kept shares: its golden, its gradient, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from ltr.losses.keep_ratio import keep_ratio_loss

GOLDENS = np.load(Path(__file__).parents[2] / "goldens" / "rfgm" / "losses.npz")
RATIOS = (0.9, 0.8, 0.7)


def test_value_of_the_golden() -> None:
    masks = torch.from_numpy(np.unpackbits(GOLDENS["e/ratio_D"], axis=-1)).double()
    np.testing.assert_allclose(masks.mean(-1), GOLDENS["e/ratio_D_mean"])
    loss = keep_ratio_loss([masks[:, stage] for stage in range(3)], RATIOS)
    assert loss.item() == pytest.approx(GOLDENS["e/ratio_loss"].item(), rel=1e-6)


def test_gradient_asks_for_more_where_too_little_is_kept() -> None:
    masks = [torch.full((2, 10), share, requires_grad=True) for share in (0.5, 0.8, 1.0)]
    loss = keep_ratio_loss(masks, RATIOS)
    assert loss.item() == pytest.approx((0.4**2 + 0.3**2) / 3, rel=1e-5)
    loss.backward()
    signs = [None if mask.grad is None else mask.grad.sign().sum().item() for mask in masks]
    assert signs[0] == -20
    assert signs[2] == 20
    assert masks[1].grad is not None
    assert masks[1].grad.abs().max() < 1e-6


def test_a_net_without_stages_has_nothing_to_lose() -> None:
    assert keep_ratio_loss([], ()) == 0


def test_each_stage_needs_its_ratio() -> None:
    with pytest.raises(ValueError, match="1 stages but 3 ratios"):
        keep_ratio_loss([torch.ones(1, 4)], RATIOS)
