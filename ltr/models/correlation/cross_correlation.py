"""Cross-correlation of exemplar and search features (EDCF Eq. 3, SiamFC)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def cross_correlation(exemplar: Tensor, search: Tensor) -> Tensor:
    """Score every placement of each exemplar in its own search map.

    Args:
        exemplar: ``(B or 1, C, h, w)`` features; one exemplar is compared with all search maps.
        search: ``(B, C, H, W)`` features.

    Returns:
        ``(B, 1, H - h + 1, W - w + 1)``.
    """
    if exemplar.shape[0] == 1:
        return F.conv2d(search, exemplar)
    batch, channels, height, width = search.shape
    stacked = F.conv2d(search.reshape(1, batch * channels, height, width), exemplar, groups=batch)
    return stacked.transpose(0, 1)


def all_pairs_correlation(exemplars: Tensor, search: Tensor) -> Tensor:
    """Score every exemplar in every search map of a batch.

    Args:
        exemplars: ``(E, C, h, w)``.
        search: ``(B, C, H, W)``.

    Returns:
        ``(B, E, H - h + 1, W - w + 1)``; entry ``[b, e]`` is exemplar ``e`` looked for in search map ``b``.
    """
    return F.conv2d(search, exemplars)
