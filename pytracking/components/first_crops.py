"""The crops of a first frame, each with the target's box in it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ltr.ops.sample_patch import CropArithmetic, sample_patch
from pytracking.components.init_augment import Augmentation
from pytracking.components.target import Target


def first_crops(
    image: np.ndarray,
    target: Target,
    changes: Sequence[Augmentation],
    side: int,
    *,
    expansion: float,
    arithmetic: CropArithmetic,
    device: torch.device | str = "cpu",
) -> tuple[Tensor, np.ndarray]:
    """Crops around the whole pixel next to the target's centre.

    Args:
        image: ``(H, W, 3)`` uint8.
        target: where it is, and how large a pixel of the crop is.
        changes: one for each crop.
        side: of the crops in pixels.
        expansion: side of the patch that the crops are cut from over ``side``.
        arithmetic: see :func:`ltr.ops.sample_patch.place_window`.
        device: of the crops.

    Returns:
        crops ``(N, 3, side, side)`` in the image's range, and boxes ``(N, 4)`` xywh in their pixels.
    """
    middle = (float(round(target.pos_yx[0])), float(round(target.pos_yx[1])))
    wide = int(side * expansion)
    extent = target.scale * wide
    patch, _ = sample_patch(image, middle, (extent, extent), (wide, wide), arithmetic=arithmetic, device=device)
    crops = torch.stack([change(patch[0], side) for change in changes])
    box = target.box_in_crop(target.offset_from(middle), target.scale, side)
    shifts = [[x, y, 0, 0] for y, x in (change.shift_yx for change in changes)]
    return crops, np.add(box, shifts)
