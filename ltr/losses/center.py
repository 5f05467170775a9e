"""Losses of a centre head: its heat map, and the box that is read from it."""

from __future__ import annotations

import torch
from torch import Tensor


def centre_focal_loss(scores: Tensor, heatmap: Tensor, alpha: float = 2.0, beta: float = 4.0) -> Tensor:
    """Focal loss of score maps with Gaussian targets (CornerNet, Section 3.2; CenterNet, Eq. 1).

    Args:
        scores: any shape, in (0, 1).
        heatmap: the same shape, in [0, 1]; cells of exactly 1 are positive, the nearer the others are to 1 the less
            they count.
        alpha: how little counts what is almost right.
        beta: how little counts what is near a centre.

    Returns:
        scalar: the sum over all cells by the number of positive ones (by 1 where there are none).
    """
    positive = heatmap == 1
    # Half precision has no 1e-12.
    p = scores.float() if scores.dtype in (torch.float16, torch.bfloat16) else scores
    hit = (1 - p).pow(alpha) * p.clamp(min=1e-12).log()
    miss = (1 - heatmap).pow(beta) * p.pow(alpha) * (1 - p).clamp(min=1e-12).log()
    return -torch.where(positive, hit, miss).sum() / positive.sum().clamp(min=1)


def generalized_iou(first_xyxy: Tensor, second_xyxy: Tensor) -> tuple[Tensor, Tensor]:
    """Generalized IoU (Rezatofighi et al., CVPR 2019, Algorithm 1) and IoU, box by box.

    Args:
        first_xyxy: ``(..., 4)``; a box whose sides are not positive has no finite value beside another one.
        second_xyxy: ``(..., 4)``.

    Returns:
        ``(...)`` in (-1, 1], ``(...)`` in [0, 1].
    """
    inner = torch.minimum(first_xyxy[..., 2:], second_xyxy[..., 2:]) - torch.maximum(
        first_xyxy[..., :2], second_xyxy[..., :2]
    )
    outer = torch.maximum(first_xyxy[..., 2:], second_xyxy[..., 2:]) - torch.minimum(
        first_xyxy[..., :2], second_xyxy[..., :2]
    )
    common, hull = inner.clamp(min=0).prod(dim=-1), outer.prod(dim=-1)
    union = sum_of_areas(first_xyxy, second_xyxy) - common
    iou = common / union
    return iou - (hull - union) / hull, iou


def sum_of_areas(first_xyxy: Tensor, second_xyxy: Tensor) -> Tensor:
    """Areas of pairs of boxes ``(..., 4)``, added."""
    return (first_xyxy[..., 2:] - first_xyxy[..., :2]).prod(dim=-1) + (
        second_xyxy[..., 2:] - second_xyxy[..., :2]
    ).prod(dim=-1)
