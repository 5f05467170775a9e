"""Cutting patches out of images."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch import Tensor

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def crop_patch(
    image: np.ndarray,
    centre_xy: Sequence[float] | np.ndarray,
    size_wh: Sequence[float] | np.ndarray,
    output_size: int,
    fill: Sequence[float] | np.ndarray = (0, 0, 0),
) -> np.ndarray:
    """Cut a window and resize it to a square patch; both axes are scaled on their own.

    Coordinates are continuous: pixel ``i`` covers ``[i, i + 1)``, so a box ``[x, y, w, h]`` has its centre at
    ``(x + w / 2, y + h / 2)``. Parts outside the image take ``fill``. Windows much larger than the patch are averaged
    down before the bilinear interpolation, which alone would alias.

    Args:
        image: ``(H, W, 3)`` uint8.
        centre_xy: centre of the window in image pixels.
        size_wh: width and height of the window in image pixels.
        output_size: side of the patch in pixels.
        fill: colour outside the image, same order and range as the image.

    Returns:
        ``(output_size, output_size, 3)`` uint8.
    """
    left, top = centre_xy[0] - size_wh[0] / 2, centre_xy[1] - size_wh[1] / 2
    step_x, step_y = size_wh[0] / output_size, size_wh[1] / output_size
    shrink_x, shrink_y = max(1, int(step_x)), max(1, int(step_y))
    if shrink_x > 1 or shrink_y > 1:
        image, left, top = _shrink_window(image, (left, top), size_wh, (shrink_x, shrink_y))
        step_x, step_y = step_x / shrink_x, step_y / shrink_y
    matrix = np.array(
        [[step_x, 0, left + 0.5 * step_x - 0.5], [0, step_y, top + 0.5 * step_y - 0.5]], dtype=np.float64
    )
    return cv2.warpAffine(
        image,
        matrix,
        (output_size, output_size),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=tuple(float(c) for c in fill),
    )


def _shrink_window(
    image: np.ndarray, left_top: tuple[float, float], size_wh: Sequence[float] | np.ndarray, shrink: tuple[int, int]
) -> tuple[np.ndarray, float, float]:
    """Average the part of the image under the window down by whole factors; returns it with the window's new origin."""
    height, width = image.shape[:2]
    x0, y0 = (max(0, int(np.floor(v)) - s) for v, s in zip(left_top, shrink, strict=True))
    x1 = min(width, int(np.ceil(left_top[0] + size_wh[0])) + shrink[0])
    y1 = min(height, int(np.ceil(left_top[1] + size_wh[1])) + shrink[1])
    x1, y1 = x0 + (x1 - x0) // shrink[0] * shrink[0], y0 + (y1 - y0) // shrink[1] * shrink[1]
    if x1 <= x0 or y1 <= y0:
        return image[:1, :1], 10.0, 10.0  # the window lies outside: nothing but the fill colour is seen
    part = image[y0:y1, x0:x1]
    small = cv2.resize(
        part, ((x1 - x0) // shrink[0], (y1 - y0) // shrink[1]), interpolation=cv2.INTER_AREA
    )
    return small, (left_top[0] - x0) / shrink[0], (left_top[1] - y0) / shrink[1]


def to_tensor(patches: Sequence[np.ndarray], device: torch.device | str = "cpu") -> Tensor:
    """Stack uint8 RGB patches of one size into ``(B, 3, H, W)`` float32, normalised by ImageNet's mean and spread."""
    stacked = torch.from_numpy(np.stack(patches)).to(device).permute(0, 3, 1, 2)
    mean = torch.tensor(IMAGENET_MEAN, device=device).view(1, 3, 1, 1) * 255
    std = torch.tensor(IMAGENET_STD, device=device).view(1, 3, 1, 1) * 255
    return ((stacked.float() - mean) / std).contiguous(memory_format=torch.channels_last)
