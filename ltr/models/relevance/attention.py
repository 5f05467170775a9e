"""Attention with and without its weights, masked (Eq. 13), and the mean weights that rank tokens (Eq. 10)."""

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

    @staticmethod
    def join(values: Tensor) -> Tensor:
        """``(B, heads, N, C / heads)`` attended values to ``(B, N, C)``, what ``proj`` takes."""
        return values.transpose(1, 2).flatten(2)


def fused_is_best(q: Tensor) -> bool:
    """Whether PyTorch's fused kernel is; in bfloat16 on a CPU two products and a softmax take half its time."""
    return not (q.dtype == torch.bfloat16 and q.device.type == "cpu")


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attention whose weights nobody asks for; ``(B, heads, N, d)`` each, and the result."""
    return F.scaled_dot_product_attention(q, k, v) if fused_is_best(q) else attention_weights(q, k) @ v


def attention_weights(q: Tensor, k: Tensor) -> Tensor:
    """``(B, heads, Q, d)`` queries and ``(B, heads, N, d)`` keys to weights ``(B, heads, Q, N)``, summing to 1."""
    return _logits(q, k).softmax(-1)


def mean_weights(q: Tensor, k: Tensor, memory: int, visible: Tensor | None = None, renormalise: bool = True) -> Tensor:
    """What share of their attention the search tokens give to each memory token, on average (Eq. 10).

    Only the rows of the search tokens are computed. The softmax is over all keys; the paper does not say which of the
    two sides asks, and averages over the search tokens, which therefore are taken for the queries.

    Args:
        q: ``(B, heads, N, d)``, the memory's tokens first.
        k: ``(B, heads, N, d)``.
        memory: M, number of memory tokens.
        visible: ``(B, M)`` 1 for tokens that can be seen, 0 for others; None for all of them.
        renormalise: see :func:`apply_weights`.

    Returns:
        ``(B, M, heads)`` in [0, 1].
    """
    # On a CPU one head at a time, which stays in the cache.
    at_once = 1 if q.device.type == "cpu" else q.shape[1]
    means = []
    for queries, keys in zip(q[:, :, memory:].split(at_once, 1), k.split(at_once, 1), strict=True):
        logits = _logits(queries, keys)
        weights = logits.softmax(-1, dtype=torch.promote_types(logits.dtype, torch.float32))
        if visible is not None:
            weights = _masked_weights(weights, visible, renormalise)
        means.append(weights[..., :memory].mean(2))
    return torch.cat(means, 1).transpose(1, 2)


def apply_weights(weights: Tensor, v: Tensor, visible: Tensor, renormalise: bool) -> Tensor:
    """Attention in which discarded memory tokens are invisible to all queries (Eq. 13).

    Args:
        weights: ``(B, heads, Q, N)`` after the softmax, columns of the memory first.
        v: ``(B, heads, N, d)``.
        visible: ``(B, M)`` 1 for memory tokens that can be seen, 0 for others; gradients flow into it.
        renormalise: bring the rows' sums back to 1, which is what dropping the tokens does; otherwise as printed.

    Returns:
        ``(B, heads, Q, d)``.
    """
    # Masking the values instead of the weights is the same for the sum, and a much smaller product.
    seen = _columns(visible, weights)[..., None]
    weights, values = weights.to(v.dtype), v * seen.to(v.dtype)
    if not renormalise:
        return weights @ values
    return weights @ values / _not_zero(weights @ seen.to(v.dtype))


def _masked_weights(weights: Tensor, visible: Tensor, renormalise: bool) -> Tensor:
    weights = weights * _columns(visible, weights)[..., None, :]
    return weights / _not_zero(weights.sum(-1, keepdim=True)) if renormalise else weights


def _columns(visible: Tensor, weights: Tensor) -> Tensor:
    """``(B, M)`` to ``(B, 1, N)``: search tokens are always visible."""
    return F.pad(visible.to(weights.dtype), (0, weights.shape[-1] - visible.shape[1]), value=1.0)[:, None]


def _not_zero(sums: Tensor) -> Tensor:
    # A row whose search keys get next to nothing can be rounded to zero where its memory is hidden.
    return sums.clamp_min(torch.finfo(sums.dtype).tiny)


def _logits(q: Tensor, k: Tensor) -> Tensor:
    return (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
