"""Applying a target filter to feature maps, and the transpose of it.

Both are one batched matrix product over the channels beside a sum over 16 shifts. For a filter with one output that is
several times faster on a CPU than a grouped convolution, whose kernels expect many outputs
(``benchmarks/dimp_parts.py``), in the forward as in the backward pass. Any memory layout of the features is taken as
it is.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def apply_filter(features: Tensor, target_filter: Tensor) -> Tensor:
    """Correlates every sequence's feature maps with its filter, zero padded by ``k // 2`` on all sides.

    Args:
        features: ``(T, S, C, h, w)`` maps of T images of S sequences.
        target_filter: ``(S, C, k, k)`` one filter for each sequence.

    Returns:
        ``(T, S, h', w')`` scores with ``h' = h + 1`` for an even k and ``h' = h`` for an odd one.
    """
    kernel = target_filter.shape[-1]
    size = tuple(cells + 1 - kernel % 2 for cells in features.shape[3:])
    # Each tap's response at every cell; a cell counts for the score that lies against the tap's direction.
    taps = target_filter.flatten(2).flip(2).transpose(1, 2)
    responses = torch.matmul(taps, features.flatten(3))
    scores = F.fold(responses.flatten(0, 1), size, kernel, padding=_padding(kernel))
    return scores.unflatten(0, features.shape[:2])[:, :, 0]


def filter_gradient(features: Tensor, residuals: Tensor, kernel: int) -> Tensor:
    """The transpose of :func:`apply_filter` in the filter.

    Args:
        features: ``(T, S, C, h, w)``.
        residuals: ``(T, S, h', w')``, shaped as the scores.
        kernel: side k of the filter.

    Returns:
        ``(S, C, k, k)``: gradient of ``sum(residuals * apply_filter(features, f))`` in ``f``.
    """
    sequences, channels = features.shape[1:3]
    windows = F.unfold(residuals.flatten(0, 1)[:, None], kernel, padding=_padding(kernel))
    windows = windows.unflatten(0, features.shape[:2])
    taps = torch.matmul(windows, features.flatten(3).transpose(2, 3)).sum(0)
    return taps.flip(1).transpose(1, 2).reshape(sequences, channels, kernel, kernel)


def _padding(kernel: int) -> int:
    return kernel - 1 - kernel // 2
