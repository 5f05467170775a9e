"""Boxes as the pooling wants them."""

from __future__ import annotations

import torch
from torch import Tensor


def rois_of(boxes_xywh: Tensor) -> Tensor:
    """``(B, N, 4)`` boxes xywh of B images to ``(B N, 5)`` rows ``[image, x0, y0, x1, y1]``."""
    batch, count = boxes_xywh.shape[:2]
    index = torch.arange(batch, dtype=boxes_xywh.dtype, device=boxes_xywh.device)
    corners = torch.cat([boxes_xywh[..., :2], boxes_xywh[..., :2] + boxes_xywh[..., 2:]], -1)
    return torch.cat([index[:, None, None].expand(batch, count, 1), corners], -1).flatten(0, 1)
