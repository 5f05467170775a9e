"""Vision transformer that reads memory and search tokens together, with relevance attention in some blocks (RFGM).

Entries are named as in MAE's and OSTrack's files. Patch embedding, MLP and stochastic depth are timm's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from ltr.models.backbone.positions import sine_positions
from ltr.models.layers.packed import pack_linear
from ltr.models.relevance.attention import (
    Attention,
    apply_weights,
    attend,
    attention_weights,
    fused_is_best,
    mean_weights,
)
from ltr.models.relevance.rank import TokenRank, best_tokens, keep_count, sample_keep

_MAE_POSITIONS = 1 + 14 * 14  # a class token and the patches of 224 x 224 pixels


class Block(nn.Module):
    """One transformer block, with a scorer of memory tokens if it is a relevance block.

    Args:
        width: C.
        heads: attention heads.
        drop_path: share of the samples that skip a branch in training.
        rank_hidden: layers of the scorer; None for an ordinary block.
    """

    def __init__(self, width: int, heads: int, drop_path: float, rank_hidden: tuple[int, int] | None) -> None:
        from timm.layers import DropPath, Mlp

        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = Mlp(width, 4 * width)
        self.drop_path = DropPath(drop_path)
        self.rank = None if rank_hidden is None else TokenRank(heads, rank_hidden)

    def forward(self, tokens: Tensor) -> Tensor:
        """``(B, N, C)`` tokens, all of which see each other."""
        return self._finish(tokens, self.attn.join(attend(*self._split(tokens))))

    def keep_best(self, tokens: Tensor, memory: int, keep: int) -> tuple[Tensor, Tensor]:
        """Relevance attention at inference: drops memory tokens before the attention's output (Eq. 8-9, 14).

        Args:
            tokens: ``(B, N, C)``, the memory's first.
            memory: M, how many of them are the memory's.
            keep: how many of these stay.

        Returns:
            ``(B, keep + N - M, C)`` tokens, and ``(B, keep)`` which of the memory's are left, ascending.
        """
        projected = self.attn.qkv(self.norm1(tokens))
        q, k, v = self.attn.split(projected)
        weights = None if fused_is_best(q) else attention_weights(q, k)
        if weights is None:
            means = mean_weights(q, k, memory)
        else:
            means = weights[:, :, memory:, :memory].mean(2, dtype=torch.float32).transpose(1, 2)
        kept = best_tokens(self._logits(means), keep)
        search = torch.arange(memory, tokens.shape[1], device=tokens.device).expand(len(tokens), -1)
        index = torch.cat([kept, search], 1)
        if weights is None:
            joined = self.attn.join(attend(*self.attn.split(_rows(projected, index))))
        else:
            visible = means.new_zeros(means.shape[:2]).scatter(1, kept, 1.0)
            joined = _rows(self.attn.join(apply_weights(weights, v, visible, True)), index)
        return self._finish(_rows(tokens, index), joined), kept

    def eliminate(self, tokens: Tensor, memory: int, keep: int, asks: int | None = None) -> tuple[Tensor, Tensor]:
        """OSTrack's candidate elimination: drops search tokens behind the attention.

        Args:
            tokens: ``(B, N, C)``, the template's first.
            memory: M, how many of them are the template's.
            keep: how many of the others stay, those with the most attention of the template's.
            asks: whose attention counts, a number below M; None: the mean of all of the template's.

        Returns:
            ``(B, M + keep, C)`` tokens, and ``(B, keep)`` which of the search tokens are left, ascending.
        """
        q, k, v = self._split(tokens)
        rows = q[:, :, :memory] if asks is None else q[:, :, asks : asks + 1]
        attention = attention_weights(rows, k)[..., memory:].mean((1, 2), dtype=torch.float32)
        kept = attention.topk(keep, sorted=False).indices.sort().values
        template = torch.arange(memory, device=tokens.device).expand(len(tokens), -1)
        return self._finish(tokens, self.attn.join(attend(q, k, v)), torch.cat([template, memory + kept], 1)), kept

    def rank_memory(self, tokens: Tensor, memory: int) -> Tensor:
        """``(B, N, C)`` tokens to the logits ``(B, M, 2)`` of keeping and dropping the first M of them (Eq. 10-11)."""
        q, k, _ = self._split(tokens)
        return self._logits(mean_weights(q, k, memory))

    def mask(
        self, tokens: Tensor, visible: Tensor | None, memory: int, renormalise: bool
    ) -> tuple[Tensor, Tensor | None]:
        """The block in training: what is discarded stays, and nobody sees it (Eq. 12-13).

        Args:
            tokens: ``(B, N, C)``, the memory's first.
            visible: ``(B, M)`` what earlier blocks have left, 1 or 0; None for all.
            memory: M.
            renormalise: see `apply_weights`.

        Returns:
            ``(B, N, C)`` tokens, and ``(B, M)`` what is left behind this block, with gradients; None for all.
        """
        q, k, v = self._split(tokens)
        if self.rank is not None:
            chosen = sample_keep(self._logits(mean_weights(q, k, memory, visible, renormalise)))
            visible = chosen if visible is None else visible * chosen
        if visible is None:
            return self._finish(tokens, self.attn.join(attend(q, k, v))), None
        attended = apply_weights(attention_weights(q, k), v, visible, renormalise)
        return self._finish(tokens, self.attn.join(attended)), visible

    def _split(self, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.attn.split(self.attn.qkv(self.norm1(tokens)))

    def _logits(self, weights: Tensor) -> Tensor:
        if self.rank is None:
            raise ValueError("this block ranks no tokens")
        return self.rank(weights)

    def _finish(self, tokens: Tensor, joined: Tensor, left: Tensor | None = None) -> Tensor:
        tokens = tokens + self.drop_path(self.attn.proj(joined))
        if left is not None:
            tokens = _rows(tokens, left)
        return tokens + self.drop_path(self.mlp(self.norm2(tokens)))


def _rows(tokens: Tensor, index: Tensor) -> Tensor:
    """``(B, N, C)`` tokens at ``(B, k)`` indices; whole rows are copied, which gathering elements does not do."""
    first = torch.arange(len(tokens), device=tokens.device)[:, None] * tokens.shape[1]
    return tokens.flatten(0, 1).index_select(0, (index + first).flatten()).unflatten(0, index.shape)


class RelevanceViT(nn.Module):
    """The encoder.

    Args:
        width: C, a multiple of 4 and of the heads.
        depth: number of blocks.
        heads: attention heads.
        template_side: tokens of a template's side.
        search_side: tokens of a search region's side.
        patch_embed: from ``(B, 3, H, W)`` images to ``(B, H W / 256, C)`` tokens.
        stages: indices of the relevance blocks, ascending.
        keep_ratios: shares of the whole memory that they leave.
        rank_hidden: layers of their scorers.
        drop_path: stochastic depth of the last block in training; it grows linearly from 0 in the first one.
        class_token: whether the unused ``cls_token`` and ``pos_embed`` exist, as they do in published files.
        renormalise: in training, whether weights that were masked sum to 1 again.
    """

    def __init__(
        self,
        width: int,
        depth: int,
        heads: int,
        template_side: int,
        search_side: int,
        patch_embed: nn.Module,
        stages: Sequence[int],
        keep_ratios: Sequence[float],
        rank_hidden: tuple[int, int],
        drop_path: float = 0.0,
        class_token: bool = True,
        renormalise: bool = True,
    ) -> None:
        super().__init__()
        self.stages, self.keep_ratios, self.renormalise = tuple(stages), tuple(keep_ratios), renormalise
        if class_token:
            self.cls_token = nn.Parameter(torch.zeros(1, 1, width), requires_grad=False)
            self.pos_embed = nn.Parameter(torch.zeros(1, _MAE_POSITIONS, width), requires_grad=False)
        self.pos_embed_z = nn.Parameter(sine_positions(template_side, width))
        self.pos_embed_x = nn.Parameter(sine_positions(search_side, width))
        self.patch_embed = patch_embed
        self.blocks = nn.ModuleList(
            Block(width, heads, drop_path * index / max(1, depth - 1), rank_hidden if index in self.stages else None)
            for index in range(depth)
        )
        self.norm = nn.LayerNorm(width, eps=1e-6)
        for block in self.blocks:
            for module in block.modules():
                if isinstance(module, nn.Linear):
                    nn.init.trunc_normal_(module.weight, std=0.02)
                    nn.init.zeros_(module.bias)

    def encode(self, memory: Tensor, search: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Inference: discarded tokens are really dropped.

        Args:
            memory: ``(B, M, C)`` embedded tokens.
            search: ``(B, N_x, C)`` embedded tokens.

        Returns:
            ``(B, N_x, C)`` search tokens behind the last normalisation, and for every stage the ``(B, k)`` ascending
            indices of the memory tokens that it left.
        """
        tokens, left = torch.cat([memory, search], 1), memory.shape[1]
        indices: list[Tensor] = []
        ratios = dict(zip(self.stages, self.keep_ratios, strict=True))
        for number in range(len(self.blocks)):
            if number not in ratios:
                tokens = self.blocks[number](tokens)
                continue
            keep = min(left, keep_count(ratios[number], memory.shape[1]))
            tokens, kept = self.block(number).keep_best(tokens, left, keep)
            indices.append(indices[-1].gather(1, kept) if indices else kept)
            left = keep
        return self.norm(tokens[:, left:]), indices

    def encode_masked(self, memory: Tensor, search: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Training: discarded tokens are masked.

        Args:
            memory: ``(B, M, C)`` embedded tokens.
            search: ``(B, N_x, C)`` embedded tokens.

        Returns:
            ``(B, N_x, C)`` search tokens behind the last normalisation, and for every stage what is left of the
            memory, ``(B, M)`` 1 or 0 with gradients.
        """
        tokens, count = torch.cat([memory, search], 1), memory.shape[1]
        visible: Tensor | None = None
        masks: list[Tensor] = []
        for number in range(len(self.blocks)):
            tokens, visible = self.block(number).mask(tokens, visible, count, self.renormalise)
            if visible is not None and number in self.stages:
                masks.append(visible)
        return self.norm(tokens[:, count:]), masks

    def rank_candidates(self, candidates: Tensor, search: Tensor) -> Tensor:
        """The token filter's ranking: the blocks before the first stage, and that stage's scorer.

        Args:
            candidates: ``(B, K, C)`` embedded tokens.
            search: ``(B, N_x, C)`` embedded tokens.

        Returns:
            ``(B, K, 2)`` logits of keeping and of dropping.
        """
        if not self.stages:
            raise ValueError("a net without relevance blocks cannot rank tokens")
        tokens = torch.cat([candidates, search], 1)
        for block in self.blocks[: self.stages[0]]:
            tokens = block(tokens)
        return self.block(self.stages[0]).rank_memory(tokens, candidates.shape[1])

    def pack(self, rows: int) -> None:
        """Lays the blocks' weights out for inference where that is possible, in place; scorers become float32.

        Args:
            rows: tokens of the memory and the search region together, roughly.
        """
        for number in range(len(self.blocks)):
            block = self.block(number)
            if block.rank is not None:
                block.rank.pack(rows)
            for parent, name in ((block.attn, "qkv"), (block.attn, "proj"), (block.mlp, "fc2")):
                pack_linear(parent, name, rows)
            if pack_linear(block.mlp, "fc1", rows, gelu=True):
                block.mlp.act = nn.Identity()

    def block(self, number: int) -> Block:
        """A block by its index, 0 .. depth - 1."""
        return cast(Block, self.blocks[number])
