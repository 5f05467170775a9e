"""How many tokens relevance attention keeps."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def keep_ratio_loss(keep_masks: Sequence[Tensor], ratios: Sequence[float]) -> Tensor:
    """Squared distance of the kept shares from their targets (RFGM Eq. 15), the mean over samples and stages.

    Args:
        keep_masks: of each stage ``(B, M)``, 1 for a token that is kept up to there and 0 for another; differentiable.
        ratios: the share to keep at each stage, in [0, 1].

    Returns:
        scalar, 0 for a net without stages.

    Raises:
        ValueError: as many ratios as masks are needed.
    """
    if len(keep_masks) != len(ratios):
        raise ValueError(f"{len(keep_masks)} stages but {len(ratios)} ratios to keep")
    if not keep_masks:
        return torch.zeros(())
    kept = torch.stack([mask.mean(dim=1) for mask in keep_masks], dim=1)
    return (kept - kept.new_tensor(list(ratios))).square().mean()
