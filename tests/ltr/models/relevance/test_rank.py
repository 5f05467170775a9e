"""Which tokens are kept."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ltr.models.relevance.rank import TokenRank, best_tokens, keep_count, sample_keep


def test_the_paper_s_scorer_has_79298_parameters() -> None:
    rank = TokenRank(12, (384, 192))
    assert sum(parameter.numel() for parameter in rank.parameters()) == 79_298
    assert rank(torch.rand(2, 5, 12)).shape == (2, 5, 2)


@pytest.mark.parametrize(
    ("tokens", "kept"), [(192, (172, 153, 134)), (64, (57, 51, 44)), (128, (115, 102, 89)), (10, (9, 8, 7))]
)
def test_counts_of_the_paper(tokens: int, kept: tuple[int, int, int]) -> None:
    assert tuple(keep_count(ratio, tokens) for ratio in (0.9, 0.8, 0.7)) == kept
    assert keep_count(0.1, 3) == 1 and keep_count(1.0, tokens) == tokens


@given(st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=40, unique=True), st.data())
def test_the_most_probable_tokens_are_kept_in_their_order(scores: list[float], data: st.DataObject) -> None:
    keep = data.draw(st.integers(1, len(scores)))
    logits = torch.tensor([scores]).unsqueeze(-1) * torch.tensor([1.0, 0.0])
    expected = sorted(sorted(range(len(scores)), key=lambda index: -scores[index])[:keep])
    assert best_tokens(logits, keep)[0].tolist() == expected


def test_decisions_are_drawn_with_the_probabilities_of_the_scorer() -> None:
    torch.manual_seed(0)
    wanted = torch.tensor([0.05, 0.3, 0.5, 0.9])
    logits = torch.stack([wanted, 1 - wanted], -1).log().expand(1, -1, -1).repeat(20000, 1, 1)
    drawn = sample_keep(logits + 3.0)  # what both have in common changes nothing
    assert set(drawn.unique().tolist()) == {0.0, 1.0}
    torch.testing.assert_close(drawn.mean(0), wanted, atol=0.015, rtol=0)


def test_decisions_pass_gradients_straight_through() -> None:
    torch.manual_seed(0)
    logits = torch.zeros(1, 6, 2, requires_grad=True)
    sample_keep(logits).sum().backward()
    assert logits.grad is not None
    assert (logits.grad[..., 0] > 0).all() and torch.allclose(logits.grad.sum(-1), torch.zeros(1, 6), atol=1e-6)


def test_extreme_scores_give_finite_gradients() -> None:
    logits = torch.tensor([[[1e4, -1e4], [-1e4, 1e4]]], requires_grad=True)
    drawn = sample_keep(logits)
    drawn.sum().backward()
    assert drawn.tolist() == [[1.0, 0.0]]
    assert logits.grad is not None and logits.grad.isfinite().all()
