"""From the pixels of a crop to what a net takes."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ltr.ops.crop import IMAGENET_MEAN, IMAGENET_STD


def normalised(patch: np.ndarray, brightness: float = 1.0) -> Tensor:
    """Brightens a crop, and normalises it by the colour statistics of ImageNet.

    Args:
        patch: ``(H, W, 3)`` uint8 RGB.
        brightness: factor on the values, which are cut off at white.

    Returns:
        ``(3, H, W)`` float32.
    """
    values = np.minimum(patch * np.float32(brightness / 255), np.float32(1))
    values -= np.array(IMAGENET_MEAN, dtype=np.float32)
    values /= np.array(IMAGENET_STD, dtype=np.float32)
    return torch.from_numpy(values).permute(2, 0, 1)
