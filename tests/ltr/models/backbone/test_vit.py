"""Blocks against the numbers of OSTrack's code and of an independent program; dropping tokens against masking them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ltr.models.backbone import vit
from ltr.models.backbone.positions import resample_positions, sine_positions
from ltr.models.backbone.stems import patch_stem
from ltr.models.backbone.vit import Block, RelevanceViT
from ltr.models.relevance.attention import apply_weights, mean_weights
from ltr.models.relevance.rank import best_tokens

GOLDENS = np.load(Path(__file__).parents[3] / "goldens" / "rfgm" / "net.npz")
MEMORY = 20  # of the 36 tokens of the goldens e


def assert_golden(values: Tensor, name: str, atol: float = 2e-5, order: np.ndarray | None = None) -> None:
    """Stored samples of a tensor, its sum and its norm; `order`: where its tokens are among the stored ones."""
    found = values.double().numpy()
    if order is not None:
        found = found[:, np.argsort(order)]
    assert found.shape == tuple(GOLDENS[f"{name}/shape"])
    np.testing.assert_allclose(found.ravel()[GOLDENS[f"{name}/idx"]], GOLDENS[f"{name}/val"], atol=atol, rtol=0)
    np.testing.assert_allclose(found.sum(), GOLDENS[f"{name}/sum"], atol=atol * np.sqrt(found.size))
    np.testing.assert_allclose(np.linalg.norm(found), GOLDENS[f"{name}/l2"], rtol=1e-5)


def block(fill: Callable[..., nn.Module], number: int, rank: bool) -> Block:
    made = Block(768, 12, 0.0, (384, 192) if rank else None)
    filled = fill(made, plain=True, prefix=f"backbone.blocks.{number}.").eval()
    assert isinstance(filled, Block)
    return filled


@pytest.mark.parametrize("number", [0, 3])
@torch.no_grad()
def test_blocks_of_the_published_code(
    number: int, fill_by_recipe: Callable[..., nn.Module], normal_by_recipe: Callable[..., Tensor]
) -> None:
    made, tokens = block(fill_by_recipe, number, rank=False), normal_by_recipe("vit.tokens", (1, 10, 768))
    assert_golden(made(tokens), f"a/block{number}_out")
    q, k, _ = made.attn.split(made.attn.qkv(made.norm1(tokens)))
    expected = torch.from_numpy(GOLDENS[f"a/block{number}_attn"])
    for memory in (4, 9):
        weights = mean_weights(q, k, memory).transpose(1, 2)
        torch.testing.assert_close(weights, expected[:, :, memory:, :memory].mean(2), atol=5e-6, rtol=0)


@torch.no_grad()
def test_candidate_elimination_of_the_published_code(
    fill_by_recipe: Callable[..., nn.Module], normal_by_recipe: Callable[..., Tensor]
) -> None:
    made, tokens = block(fill_by_recipe, 3, rank=False), normal_by_recipe("vit.tokens", (1, 10, 768))
    left, kept = made.eliminate(tokens, 4, 5)
    best_first = GOLDENS["a/block3_ce0.7_keep"][0].astype(int)
    assert kept[0].tolist() == sorted(best_first)
    published = np.argsort(np.concatenate([np.arange(4), 4 + best_first]))  # its tokens come in the order of attention
    assert_golden(left, "a/block3_ce0.7_out", order=published)
    for asks in range(4):
        by_hand = torch.from_numpy(GOLDENS["a/block3_attn"])[0, :, asks, 4:].mean(0).topk(5).indices
        assert made.eliminate(tokens, 4, 5, asks)[1][0].tolist() == sorted(by_hand.tolist())


@torch.no_grad()
def test_relevance_attention_of_an_independent_program(
    fill_by_recipe: Callable[..., nn.Module], normal_by_recipe: Callable[..., Tensor]
) -> None:
    made, tokens = block(fill_by_recipe, 3, rank=True), normal_by_recipe("rfgm.tokens", (1, 36, 768))
    q, k, _ = made.attn.split(made.attn.qkv(made.norm1(tokens)))
    weights = mean_weights(q, k, MEMORY)
    torch.testing.assert_close(weights, torch.from_numpy(GOLDENS["e/mean_attn"]), atol=5e-6, rtol=0)
    logits = made.rank_memory(tokens, MEMORY)
    torch.testing.assert_close(logits, torch.from_numpy(GOLDENS["e/logits"]), atol=2e-5, rtol=0)
    torch.testing.assert_close(logits.softmax(-1), torch.from_numpy(GOLDENS["e/pi"]), atol=2e-5, rtol=0)
    assert (logits[0, :, 1] - logits[0, :, 0]).argsort().tolist() == GOLDENS["e/order"].tolist()
    left, kept = made.keep_best(tokens, MEMORY, 18)
    assert kept[0].tolist() == GOLDENS["e/keep_sorted"].tolist()
    assert_golden(left, "e/pruned_out")
    chosen = torch.from_numpy(GOLDENS["e/D"])[None]
    for renormalise, name in ((True, "e/masked_renorm_out"), (False, "e/masked_norenorm_out")):
        with mock.patch.object(vit, "sample_keep", return_value=chosen):
            masked, visible = made.mask(tokens, None, MEMORY, renormalise)
        assert_golden(masked, name)
        assert torch.equal(visible, chosen)
        seen = torch.cat([kept, torch.arange(MEMORY, 36)[None]], 1)[0]
        assert torch.allclose(masked[:, seen], left, atol=1e-5) is renormalise


def small(renormalise: bool = True, stages: tuple[int, ...] = (1, 2, 4), drop_path: float = 0.0) -> RelevanceViT:
    """Six blocks, three of them with relevance attention; tokens that attend to some more than to others."""
    torch.manual_seed(3)
    net = RelevanceViT(
        32, 6, 4, 2, 4, patch_stem(32), stages, (0.9, 0.7, 0.5)[: len(stages)], (16, 8), drop_path, False, renormalise
    )
    with torch.no_grad():
        for parameter in net.blocks.parameters():
            if parameter.dim() == 2:
                parameter.mul_(8)
    return net


class ChooseBest:
    """In the place of drawing: keeps as many of the visible tokens as inference does."""

    def __init__(self, net: RelevanceViT, memory: int) -> None:
        self.counts = [vit.keep_count(ratio, memory) for ratio in net.keep_ratios]
        self.visible: Tensor | None = None

    def __call__(self, logits: Tensor) -> Tensor:
        if self.visible is not None:
            logits = logits.masked_fill(self.visible[..., None] == 0, float("nan"))
            logits = torch.stack([logits[..., 0].nan_to_num(-1e9), logits[..., 1].nan_to_num(1e9)], -1)
        index = best_tokens(logits, self.counts.pop(0))
        self.visible = torch.zeros(logits.shape[:2]).scatter(1, index, 1.0)
        return self.visible


@pytest.mark.parametrize("renormalise", [True, False])
@torch.no_grad()
def test_masking_is_dropping_when_the_same_tokens_are_kept(renormalise: bool) -> None:
    net = small(renormalise).eval()
    memory, search = torch.randn(2, 20, 32), torch.randn(2, 16, 32)
    dropped, indices = net.encode(memory, search)
    with mock.patch.object(vit, "sample_keep", ChooseBest(net, 20)):
        masked, masks = net.encode_masked(memory, search)
    assert [index.shape for index in indices] == [(2, 18), (2, 14), (2, 10)]
    if renormalise:
        for index, mask in zip(indices, masks, strict=True):
            assert torch.equal(torch.zeros(2, 20).scatter(1, index, 1.0), mask)
        torch.testing.assert_close(masked, dropped, atol=2e-5, rtol=0)
    else:
        assert (masked - dropped).abs().max() > 1e-2


@torch.no_grad()
def test_dropping_by_weights_is_dropping_by_rows() -> None:
    net, tokens = small().eval(), torch.randn(2, 36, 32)
    expected, wanted = net.block(1).keep_best(tokens, 20, 12)
    with mock.patch.object(vit, "fused_is_best", return_value=False):  # as in bfloat16
        found, kept = net.block(1).keep_best(tokens, 20, 12)
    assert torch.equal(kept, wanted)
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=0)


@torch.no_grad()
def test_bfloat16_ranks_as_float32_does() -> None:
    net, half = small().eval(), small().eval().bfloat16()
    half.block(1).rank.float()
    tokens = torch.randn(2, 36, 32).bfloat16()
    everything, _ = half.block(1).keep_best(tokens, 20, 20)
    expected, _ = net.block(1).keep_best(tokens.float(), 20, 20)
    assert everything.dtype == torch.bfloat16
    assert (everything.float() - expected).norm() < 0.05 * expected.norm()
    _, kept = half.block(1).keep_best(tokens, 20, 10)
    _, wanted = net.block(1).keep_best(tokens.float(), 20, 10)
    assert (kept[:, :, None] == wanted[:, None]).any(2).sum() >= 18  # of 20; some scores are nearly the same


@torch.no_grad()
def test_each_sample_keeps_its_own_tokens() -> None:
    net = small().eval()
    memory, search = torch.randn(3, 20, 32), torch.randn(3, 16, 32)
    together, indices = net.encode(memory, search)
    assert not torch.equal(indices[-1][0], indices[-1][1])
    for number in range(3):
        alone, _ = net.encode(memory[number, None], search[number, None])
        torch.testing.assert_close(together[number, None], alone, atol=1e-5, rtol=0)


@torch.no_grad()
def test_nothing_is_masked_without_stages_and_by_scorers_that_keep_all() -> None:
    net = small().eval()
    memory, search = torch.randn(2, 20, 32), torch.randn(2, 16, 32)
    for number in net.stages:
        net.get_parameter(f"blocks.{number}.rank.fc3.bias").copy_(torch.tensor([1e4, -1e4]))
    features, masks = net.encode_masked(memory, search)
    assert all((mask == 1).all() for mask in masks)
    plain = small(stages=()).eval()
    plain.load_state_dict(net.state_dict(), strict=False)
    torch.testing.assert_close(features, plain.encode(memory, search)[0], atol=2e-5, rtol=0)
    torch.testing.assert_close(features, plain.encode_masked(memory, search)[0], atol=2e-5, rtol=0)


def test_a_token_once_discarded_is_not_seen_again() -> None:
    net = small().train()
    memory, search = torch.randn(2, 20, 32), torch.randn(2, 16, 32)
    _, masks = net.encode_masked(memory, search)
    assert ((masks[1] <= masks[0]) & (masks[2] <= masks[1])).all()
    with torch.no_grad():
        first = (masks[0] == 0)[..., None]
        assert first.any()
        chosen = [mask.detach() for mask in masks]
        features = []
        for changed in (memory, memory + 5 * first):
            # Block 1 is the first that hides them: what they say before is taken away here.
            with mock.patch.object(vit, "sample_keep", side_effect=list(chosen)):
                tokens, visible = torch.cat([changed, search], 1), None
                for number in range(1, 6):
                    tokens, visible = net.block(number).mask(tokens, visible, 20, True)
                features.append(tokens[:, 20:])
    torch.testing.assert_close(*features, atol=1e-5, rtol=0)


def test_gradients_reach_the_scorers_through_tokens_that_were_dropped() -> None:
    weights, values = torch.rand(1, 2, 3, 5).softmax(-1), torch.zeros(1, 2, 5, 4)
    values[:, :, -1] = 1.0  # what the last search token says; memory that is seen takes from it
    visible = torch.tensor([[1.0, 0.0, 1.0]], requires_grad=True)
    apply_weights(weights, values, visible, True).sum().backward()
    assert visible.grad is not None and (visible.grad[0] < 0).all()


def test_masked_values_are_masked_weights() -> None:
    weights, values = torch.rand(2, 3, 4, 7).softmax(-1), torch.randn(2, 3, 7, 5)
    visible = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]])
    masked = weights * torch.cat([visible, torch.ones(2, 4)], 1)[:, None, None]
    torch.testing.assert_close(apply_weights(weights, values, visible, False), masked @ values)
    torch.testing.assert_close(
        apply_weights(weights, values, visible, True), masked / masked.sum(-1, keepdim=True) @ values
    )


def test_stochastic_depth_grows_to_the_last_block() -> None:
    rates = [module.drop_prob for module in small(drop_path=0.1).modules() if type(module).__name__ == "DropPath"]
    np.testing.assert_allclose(rates, np.linspace(0, 0.1, 6), atol=1e-7)


def test_positions_are_resampled_as_in_the_published_code(fill_by_recipe: Callable[..., nn.Module]) -> None:
    holder = nn.ParameterDict({"test": nn.Parameter(torch.empty(1, 197, 8))})
    source = fill_by_recipe(holder, plain=True, prefix="posembed.").get_parameter("test").detach()
    for name, side in (("z", 8), ("x", 16)):
        expected = torch.from_numpy(GOLDENS[f"pos/{name}"])
        torch.testing.assert_close(resample_positions(source, side), expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(resample_positions(source, 14), source[:, 1:])
    with pytest.raises(ValueError, match=r"positions \(1, 196, 8\) are not a class token and a square grid"):
        resample_positions(source[:, 1:], 8)


def test_positions_to_start_with_tell_cells_apart() -> None:
    positions = sine_positions(8, 32)[0]
    assert positions.shape == (64, 32)
    distances = torch.cdist(positions, positions) + torch.eye(64)
    assert distances.min() > 0.1
    assert torch.equal(positions[0, 16:], positions[7, 16:]) and torch.equal(positions[0, :16], positions[8, :16])
