"""Applying a target filter to feature maps, and the transpose of it."""

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
    padding = target_filter.shape[-1] // 2
    return F.conv2d(features.flatten(1, 2), target_filter, padding=padding, groups=target_filter.shape[0])


def filter_gradient(features: Tensor, residuals: Tensor, kernel: int) -> Tensor:
    """The transpose of :func:`apply_filter` in the filter.

    Args:
        features: ``(T, S, C, h, w)``.
        residuals: ``(T, S, h', w')``, shaped as the scores.
        kernel: side k of the filter.

    Returns:
        ``(S, C, k, k)``: gradient of ``sum(residuals * apply_filter(features, f))`` in ``f``.
    """
    images, sequences, channels = features.shape[:3]
    windows = F.unfold(residuals.flatten(0, 1)[:, None], kernel, padding=kernel - 1 - kernel // 2)
    windows = windows.unflatten(0, (images, sequences))
    # A window of the residuals runs against the taps of the filter.
    taps = torch.einsum("tscp,tskp->sck", features.flatten(3), windows).flip(2)
    return taps.reshape(sequences, channels, kernel, kernel)
