"""OSTrack's encoder, which drops parts of the search region that its template does not look at (ECCV 2022)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ltr.models.backbone.vit import RelevanceViT


class EliminatingViT(RelevanceViT):
    """A vision transformer with early candidate elimination, which has no parameters.

    It eliminates at inference alone. OSTrack's training begins to after 20 epochs, which is not done here.

    Args:
        width: C.
        depth: number of blocks.
        heads: attention heads.
        template_side: tokens of the template's side.
        search_side: tokens of the search region's side.
        patch_embed: from images to tokens.
        places: indices of the blocks that eliminate.
        keep: share of the search tokens, of those that are still there, that each of them leaves.
        drop_path: stochastic depth of the last block in training.
        asks: the template's token whose attention decides; None: the mean of all of them.
    """

    def __init__(
        self, width: int, depth: int, heads: int, template_side: int, search_side: int, patch_embed: nn.Module,
        places: Sequence[int], keep: float, drop_path: float = 0.0, asks: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__(width, depth, heads, template_side, search_side, patch_embed, (), (), (1, 1), drop_path)
        self.places, self.keep, self.asks = tuple(places), keep, asks

    def encode(self, memory: Tensor, search: Tensor) -> tuple[Tensor, list[Tensor]]:
        """As :meth:`RelevanceViT.encode`; features of search tokens that were eliminated are zero."""
        tokens, count = torch.cat([memory, search], 1), memory.shape[1]
        left = torch.arange(search.shape[1], device=search.device).expand(len(search), -1)
        for number in range(len(self.blocks)):
            if number in self.places:
                keep = math.ceil(self.keep * left.shape[1] - 1e-9)  # 0.7 * 10 must not become 8
                tokens, kept = self.block(number).eliminate(tokens, count, keep, self.asks)
                left = left.gather(1, kept)
            else:
                tokens = self.blocks[number](tokens)
        features = self.norm(tokens[:, count:])
        index = left[..., None].expand(-1, -1, features.shape[-1])
        return torch.zeros_like(search, dtype=features.dtype).scatter(1, index, features), []
