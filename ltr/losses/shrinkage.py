"""Losses of DCFST's scores, which keep the many easy proposals from drowning the few hard ones.

"Learning Feature Embeddings for Discriminant Model based Tracking" (Zheng et al., ECCV 2020), Eq. 4 and 5. The two
versions of the paper and the code write three different formulas; :data:`LOCATOR_LOSSES` has them all by name.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Hard = Literal["far", "below", "above"]
LocatorLoss = Callable[[Tensor, Tensor], Tensor]  # of scores (B, N) and their labels; scalar


def shrinkage_loss(
    scores: Tensor,
    labels: Tensor,
    *,
    speed: float = 10.0,
    location: float = 0.2,
    hard: Hard = "far",
    square_weight: bool = False,
    clip: tuple[float, float] | None = (-0.5, 1.5),
    sum_proposals: bool = False,
) -> Tensor:
    """Squared errors, weighted by ``exp(y) / (1 + exp(a (c - d)))`` with the difference d of score and label y.

    The defaults are the official code's: Eq. 4 of the paper's first version, the mean over clamped scores.

    Args:
        scores: ``(..., N)``.
        labels: ``(..., N)`` in [0, 1].
        speed: a, how sharply errors are parted into easy and hard ones.
        location: c, the difference at which they are.
        hard: which scores are: those ``far`` from the label, ``d = |y - p|``, which is the paper's modification; only
            those ``below`` it, ``d = y - p`` (Eq. 5, ECCV), or only those ``above`` it, ``d = p - y`` (Eq. 5, arXiv).
        square_weight: square the weight as well, as the norm in the ECCV version does.
        clip: range that scores are clamped to, outside of which they have no gradient; None: any.
        sum_proposals: sum over the N proposals and mean over the rest, instead of the mean over all.

    Returns:
        scalar.

    Raises:
        ValueError: an unknown ``hard``.
    """
    if hard not in ("far", "below", "above"):
        raise ValueError(f"hard must be one of far, below, above, not {hard!r}")
    if clip is not None:
        scores = scores.clamp(*clip)
    error = labels - scores
    difference = {"far": error.abs(), "below": error, "above": -error}[hard]
    # As a quotient of exponentials, a large error would make inf / inf of the gradient.
    weight = labels.exp() * torch.sigmoid(speed * (difference - location))
    losses = (weight.square() if square_weight else weight) * error.square()
    return losses.sum(-1).mean() if sum_proposals else losses.mean()


_as_in_eccv = partial(shrinkage_loss, square_weight=True, clip=None, sum_proposals=True)
_as_in_arxiv = partial(shrinkage_loss, clip=None, sum_proposals=True)
LOCATOR_LOSSES: dict[str, LocatorLoss] = {
    "shrinkage": shrinkage_loss,
    "shrinkage_eccv": _as_in_eccv,
    "shrinkage_arxiv": _as_in_arxiv,
    "original": partial(shrinkage_loss, hard="below"),
    "original_eccv": partial(_as_in_eccv, hard="below"),
    "original_arxiv": partial(_as_in_arxiv, hard="above"),
    "mse": F.mse_loss,
}
"""``shrinkage`` is the official code's loss and ``original`` the same with the weight of Eq. 5; ``*_eccv`` and
``*_arxiv`` are Eq. 4 and 5 as printed, sums over the proposals; ``mse`` is the mean squared error."""
