"""Adaptive token ranking of RFGM: which tokens of the memory matter for this search region (Section 3.2)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ltr.models.layers.packed import pack_linear


class TokenRank(nn.Module):
    """The scorer: three linear layers with GELU between them (Eq. 11; 12 -> 384 -> 192 -> 2 in RFGM-B256).

    Args:
        heads: attention heads, whose weights are the input.
        hidden: outputs of the first two layers.
    """

    def __init__(self, heads: int, hidden: tuple[int, int]) -> None:
        super().__init__()
        self.fc1 = nn.Linear(heads, hidden[0])
        self.act: nn.Module = nn.GELU()
        self.fc2 = nn.Linear(hidden[0], hidden[1])
        self.fc3 = nn.Linear(hidden[1], 2)

    def forward(self, mean_weights: Tensor) -> Tensor:
        """Attention of the search tokens on each memory token to the logits of keeping and of dropping that token.

        Args:
            mean_weights: ``(B, M, heads)`` of Eq. 10.

        Returns:
            ``(B, M, 2)``; their softmax is the paper's pi, column 0 is "keep".
        """
        weights = mean_weights.to(self.fc3.weight.dtype)
        return self.fc3(self.act(self.fc2(self.act(self.fc1(weights)))))

    def pack(self, rows: int) -> None:
        """Brings the layers into float32, in which alone close scores differ, and lays them out for inference."""
        self.float()
        if pack_linear(self, "fc1", rows, gelu=True) and pack_linear(self, "fc2", rows, gelu=True):
            self.act = nn.Identity()


def sample_keep(logits: Tensor, temperature: float = 1.0) -> Tensor:
    """Hard Gumbel-softmax decisions with straight-through gradients (Eq. 12).

    The paper hands pi to Gumbel-softmax; the distribution with the probabilities pi has their logarithms there, so
    logits are taken. Noise comes from torch's generator of the device, as dropout's does.

    Args:
        logits: ``(B, M, 2)``.
        temperature: of the softmax whose gradient is used.

    Returns:
        ``(B, M)``, 1 where a token is kept and 0 elsewhere, float32.
    """
    logits = logits.float().log_softmax(-1)
    # -log of an exponential variable; one that was rounded to zero would give an infinite sample.
    noise = -torch.empty_like(logits).exponential_().clamp_min_(torch.finfo(torch.float32).tiny).log()
    soft = ((logits + noise) / temperature).softmax(-1)[..., 0]
    hard = (soft > 0.5).float()
    return hard + (soft - soft.detach())


def keep_count(ratio: float, tokens: int) -> int:
    """How many of the memory's tokens a stage keeps: ``floor(ratio * tokens)`` (172 of 192 for 0.9), at least one."""
    return max(1, math.floor(ratio * tokens + 1e-9))  # 0.7 * 10 must not become 6


def best_tokens(logits: Tensor, keep: int) -> Tensor:
    """The tokens with the largest probability of being kept, in their own order (Eq. 14).

    Args:
        logits: ``(B, M, 2)``.
        keep: how many, 1 .. M.

    Returns:
        ``(B, keep)`` int64 indices, ascending.
    """
    # The difference has the order of the probability, and still tells tokens apart where that is rounded to 1.
    score = logits[..., 0].float() - logits[..., 1].float()
    return score.topk(keep, dim=-1, sorted=False).indices.sort(dim=-1).values
