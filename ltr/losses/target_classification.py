"""Loss of a target filter's scores."""

from __future__ import annotations

import torch
from torch import Tensor


def hinge_regression_loss(
    scores: Tensor, labels: Tensor, threshold: float = 0.05, clip: float | None = None
) -> Tensor:
    """Squared error that asks of the background only that it is not positive (DiMP Eq. 8).

    Where the label is below the threshold, ``max(0, score)`` is compared with 0; elsewhere the score with the label.

    Args:
        scores: any shape.
        labels: the same shape (or broadcastable), in [0, 1].
        threshold: 0.05 in the paper; ``-inf`` makes it the plain squared error.
        clip: greatest value of the loss; a batch above it teaches nothing.

    Returns:
        scalar, the mean over all cells.
    """
    background = labels < threshold
    predicted = torch.where(background, scores.clamp(min=0), scores)
    loss = (predicted - labels.masked_fill(background, 0)).square().mean()
    return loss if clip is None else loss.clamp(max=clip)
