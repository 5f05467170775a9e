"""The crop of online tracking (ATOM, DiMP, DCFST): every n-th pixel, repeated borders, bilinear resizing.

Training crops with another function; both are part of a net's published numbers, so they stay two functions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ltr.ops.crop import IMAGENET_MEAN, IMAGENET_STD

CropArithmetic = Literal["asis", "intdiv"]
BorderMode = Literal["replicate", "inside", "inside_major"]

_FARTHEST = 1e9  # pixels; nothing real is farther away or wider, and strides and indices stay small integers


@dataclass(frozen=True)
class Window:
    """Which pixels a crop reads, in one axis or both, as `(y, x)` pairs.

    Attributes:
        stride: every ``stride``-th pixel is read.
        offset_yx: the first of them.
        start_yx: first row and column, counted in strided pixels; negative outside the image.
        stop_yx: one past the last.
        corners: ``(top, left, bottom, right)`` in image pixels as they are reported; what positions are computed from.
    """

    stride: int
    offset_yx: tuple[int, int]
    start_yx: tuple[int, int]
    stop_yx: tuple[int, int]
    corners: tuple[float, float, float, float]

    @property
    def pos_yx(self) -> tuple[float, float]:
        """Centre of the crop in image pixels."""
        top, left, bottom, right = self.corners
        return 0.5 * (top + bottom - 1), 0.5 * (left + right - 1)

    def scale(self, output_sz_hw: Sequence[int]) -> float:
        """Image pixels per pixel of the crop, the geometric mean of both axes."""
        top, left, bottom, right = self.corners
        return math.sqrt((bottom - top) / output_sz_hw[0] * ((right - left) / output_sz_hw[1]))


def place_window(
    image_sz_hw: Sequence[int],
    pos_yx: Sequence[float],
    sample_sz_hw: Sequence[float],
    output_sz_hw: Sequence[int],
    *,
    mode: BorderMode = "replicate",
    max_scale_change: float | None = None,
    arithmetic: CropArithmetic = "asis",
) -> Window:
    """Decide which pixels a crop reads.

    Two arithmetics are in use. ``intdiv`` is the original one, in whole pixels: the crop is as wide as asked for.
    ``asis`` is what the same program does since PyTorch divides integers truly: corners on halves, cut off towards
    zero for reading and kept for reporting, which shifts crops by up to half a pixel.

    Args:
        image_sz_hw: height and width of the image.
        pos_yx: centre in image pixels; its fraction is dropped.
        sample_sz_hw: height and width of the window in image pixels.
        output_sz_hw: height and width of the crop.
        mode: ``replicate`` lets the window leave the image; ``inside`` shrinks and shifts it until it fits in both
            axes, ``inside_major`` until it fits in one of them.
        max_scale_change: the strongest shrinking of the inside modes; None for any.
        arithmetic: see above.

    Raises:
        ValueError: a window that is empty or not finite.
    """
    size = [float(side) for side in sample_sz_hw]
    if not all(math.isfinite(v) and abs(v) < _FARTHEST for v in (*pos_yx, *size)) or min(size) <= 0:
        raise ValueError(f"a crop of {size} (height, width) at {list(pos_yx)} (y, x) is empty or not finite")
    if mode != "replicate":
        ratios = [side / whole for side, whole in zip(size, image_sz_hw, strict=True)]
        shrink = max(1.0, min(max(ratios) if mode == "inside" else min(ratios), max_scale_change or math.inf))
        size = [float(int(side / shrink)) for side in size]
    stride = max(int(min(s / o for s, o in zip(size, output_sz_hw, strict=True)) - 0.1), 1)
    axes = [
        _place_axis(int(p), s, length, stride, inside=mode != "replicate", arithmetic=arithmetic)
        for p, s, length in zip(pos_yx, size, image_sz_hw, strict=True)
    ]
    (oy, top, bottom), (ox, left, right) = axes
    return Window(
        stride,
        (oy, ox),
        (int(top), int(left)),
        (int(bottom), int(right)),
        (stride * top, stride * left, stride * bottom, stride * right),
    )


def _place_axis(
    pos: int, size: float, length: int, stride: int, *, inside: bool, arithmetic: CropArithmetic
) -> tuple[int, float, float]:
    """Offset, first and one-past-last strided pixel of one axis."""
    offset = min(pos % stride, length - 1)  # strides wider than the image read one row of it
    centre = (pos - offset) // stride
    count = max(round(size / stride), 2)
    if arithmetic == "intdiv":
        first, last = float(centre - (count - 1) // 2), float(centre + count // 2 + 1)
    else:
        first, last = centre - (count - 1) / 2, centre + count / 2 + 1
    if inside:
        length = len(range(offset, length, stride))
        shift = max(-first, 0) - max(last - length, 0)
        first, last = first + shift, last + shift
        outside = (max(-first, 0) + max(last - length, 0)) // 2
        if outside > 0:
            first, last = -outside, last - first - outside
    return offset, first, last


def read_window(image: np.ndarray, window: Window) -> np.ndarray:
    """The window's pixels, the image's border repeated outside.

    Args:
        image: ``(H, W, 3)``.
        window: of :func:`place_window`.

    Returns:
        ``(h, w, 3)``, a view of the image where it lies inside.
    """
    strided = image[window.offset_yx[0] :: window.stride, window.offset_yx[1] :: window.stride]
    inside, paddings = [], []
    for start, stop, length in zip(window.start_yx, window.stop_yx, strided.shape, strict=False):
        first, last = min(max(start, 0), length - 1), max(min(stop, length), 1)
        inside.append(slice(first, last))
        before = min(max(-start, 0), stop - start - 1)
        paddings.append((before, stop - start - (last - first) - before))
    pixels = strided[inside[0], inside[1]]
    if any(map(any, paddings)):
        pixels = np.pad(pixels, [*paddings, (0, 0)], mode="edge")
    return pixels


def sample_patch(
    image: np.ndarray,
    pos_yx: Sequence[float],
    sample_sz_hw: Sequence[float],
    output_sz_hw: Sequence[int],
    *,
    mode: BorderMode = "replicate",
    max_scale_change: float | None = None,
    arithmetic: CropArithmetic = "asis",
    device: torch.device | str = "cpu",
) -> tuple[Tensor, Window]:
    """Cut a window and resize it.

    Args:
        image: ``(H, W, 3)`` uint8.
        pos_yx, sample_sz_hw, output_sz_hw, mode, max_scale_change, arithmetic: see :func:`place_window`.
        device: where the crop is resized; only the window's pixels go there.

    Returns:
        ``(1, 3, h, w)`` float32 in the image's range, and where it lies.
    """
    window = place_window(
        image.shape[:2], pos_yx, sample_sz_hw, output_sz_hw,
        mode=mode, max_scale_change=max_scale_change, arithmetic=arithmetic,
    )  # fmt: skip
    pixels = torch.from_numpy(np.ascontiguousarray(read_window(image, window))).to(device, non_blocking=True)
    planes = pixels.permute(2, 0, 1).unsqueeze(0).float()
    output = (int(output_sz_hw[0]), int(output_sz_hw[1]))
    if tuple(planes.shape[-2:]) != output:
        planes = F.interpolate(planes, size=output, mode="bilinear", align_corners=False)
    return planes, window


class NetInput:
    """Normalises crops by ImageNet's mean and spread.

    Args:
        device: of the crops; the constants are brought there once.
    """

    def __init__(self, device: torch.device | str = "cpu") -> None:
        mean = torch.tensor(IMAGENET_MEAN, device=device).view(1, 3, 1, 1)
        spread = torch.tensor(IMAGENET_STD, device=device).view(1, 3, 1, 1)
        self._gain, self._shift = 1 / (255 * spread), -mean / spread

    def __call__(self, pixels: Tensor) -> Tensor:
        """``(N, 3, h, w)`` float32 RGB in [0, 255] to the same shape, channels last in memory."""
        return torch.addcmul(self._shift, pixels, self._gain).contiguous(memory_format=torch.channels_last)
