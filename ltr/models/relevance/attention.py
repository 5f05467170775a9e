"""Attention with and without its weights: fused, masked (Eq. 13), and the mean weights that rank tokens (Eq. 10)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Attention(nn.Module):
    """Multi-head self-attention in the pieces that relevance attention needs.

    Args:
        width: C, channels of a token.
        heads: number of heads.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def split(self, projected: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """``(B, N, 3 C)`` of ``qkv`` to queries, keys and values, ``(B, heads, N, C / heads)`` each."""
        q, k, v = projected.unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return q, k, v

    def merge(self, values: Tensor) -> Tensor:
        """``(B, heads, N, C / heads)`` attended values to ``(B, N, C)`` tokens."""
        return self.proj(values.transpose(1, 2).flatten(2))


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attention whose weights nobody asks for; ``(B, heads, N, d)`` each, and the result."""
    if q.dtype == torch.bfloat16 and q.device.type == "cpu":
        # PyTorch's fused kernel takes twice as long there as two products and a softmax.
        return _logits(q, k).softmax(-1) @ v
    return F.scaled_dot_product_attention(q, k, v)


def mean_weights(q: Tensor, k: Tensor, memory: int, visible: Tensor | None = None, renormalise: bool = True) -> Tensor:
    """What share of their attention the search tokens give to each memory token, on average (Eq. 10).

    Only the rows of the search tokens are computed. The softmax is over all keys; the paper does not say which of the
    two sides asks, and averages over the search tokens, which therefore are taken for the queries.

    Args:
        q: ``(B, heads, N, d)``, the memory's tokens first.
        k: ``(B, heads, N, d)``.
        memory: M, number of memory tokens.
        visible: ``(B, M)`` 1 for tokens that can be seen, 0 for others; None for all of them.
        renormalise: see :func:`masked_weights`.

    Returns:
        ``(B, M, heads)`` in [0, 1].
    """
    weights = _softmax_weights(q[:, :, memory:], k)
    if visible is not None:
        weights = masked_weights(weights, visible, renormalise)
    return weights[..., :memory].mean(2).transpose(1, 2)


def masked_weights(weights: Tensor, visible: Tensor, renormalise: bool) -> Tensor:
    """Attention weights without the memory tokens that were discarded (Eq. 13).

    Args:
        weights: ``(B, heads, Q, N)`` after the softmax, columns of the memory first.
        visible: ``(B, M)``, 1 or 0; gradients flow into it.
        renormalise: bring the rows' sums back to 1, which is what dropping the tokens does; otherwise as printed.
    """
    memory = visible.shape[1]
    columns = F.pad(visible.to(weights.dtype), (0, weights.shape[-1] - memory), value=1.0)[:, None, None]
    weights = weights * columns
    if not renormalise:
        return weights
    # Search keys are never masked; a sum of zero is what rounding leaves where they get next to nothing.
    return weights / weights.sum(-1, keepdim=True).clamp_min(torch.finfo(weights.dtype).tiny)


def masked_attention(q: Tensor, k: Tensor, v: Tensor, visible: Tensor, renormalise: bool) -> Tensor:
    """Attention in which discarded memory tokens are invisible to all queries; shapes as in :func:`mean_weights`."""
    return masked_weights(_softmax_weights(q, k), visible, renormalise).to(v.dtype) @ v


def _softmax_weights(q: Tensor, k: Tensor) -> Tensor:
    logits = _logits(q, k)
    return logits.softmax(-1, dtype=torch.promote_types(logits.dtype, torch.float32))


def _logits(q: Tensor, k: Tensor) -> Tensor:
    return (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
