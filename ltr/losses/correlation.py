"""Losses on score maps of correlation trackers."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def logistic_loss(scores: Tensor, labels: Tensor, balanced: bool = True) -> Tensor:
    """Logistic loss of a Siamese score map (EDCF Eq. 4; SiamFC).

    Args:
        scores: ``(B, 1, h, w)`` logits.
        labels: same shape (or broadcastable), +1 and -1.
        balanced: give positives and negatives of each map half of the weight, as SiamFC's code does; False is the
            plain mean that the paper writes.

    Returns:
        scalar.
    """
    labels = labels.expand_as(scores)
    losses = F.softplus(-labels * scores)
    if not balanced:
        return losses.mean()
    positive = (labels > 0).to(scores.dtype)
    weights = 0.5 * positive / positive.sum(dim=(-2, -1), keepdim=True).clamp(min=1)
    negative = 1 - positive
    weights = weights + 0.5 * negative / negative.sum(dim=(-2, -1), keepdim=True).clamp(min=1)
    return (losses * weights).sum(dim=(-2, -1)).mean()


def mismatch_loss(scores: Tensor) -> Tensor:
    """Logistic loss of exemplars searched for in other samples' regions, where every placement is negative.

    Args:
        scores: ``(B, E, h, w)`` logits of all pairs; the diagonal (exemplar and region of one sample) is left out.
            The hardest placement of each pair counts as much as all of them together.

    Returns:
        scalar; 0 for a batch of one.
    """
    batch = scores.shape[0]
    if batch < 2:
        return scores.new_zeros(())
    others = ~torch.eye(batch, dtype=torch.bool, device=scores.device)
    losses = F.softplus(scores[others])
    return 0.5 * losses.mean() + 0.5 * losses.amax(dim=(-2, -1)).mean()


def filter_loss(response: Tensor, label: Tensor, relative: bool = True) -> Tensor:
    """Squared error of a correlation filter's response (EDCF Eq. 8).

    Args:
        response: ``(B, 1, H, W)``.
        label: ``(B, 1, H, W)`` or broadcastable, in [0, 1].
        relative: divide by the label's energy, so that an all-zero response costs 1; False is the sum that the paper
            writes, per sample.

    Returns:
        scalar, mean over the batch.
    """
    label = label.expand_as(response)
    error = (response - label).square().sum(dim=(-3, -2, -1))
    if relative:
        error = error / label.square().sum(dim=(-3, -2, -1))
    return error.mean()
