"""The square crops around a target that nets are trained on, to the pixel as pytracking and OSTrack cut them.

Crops for tracking with DiMP are another thing (``ltr.ops.sample_patch``): there the image is thinned out before it is
resized. OSTrack and RFGM track with the crops that they are trained on.
"""

from __future__ import annotations

import math
from typing import Literal

import cv2
import numpy as np

CropMode = Literal["replicate", "inside", "inside_major"]
_LARGEST_SIDE = 8192  # pixels; of a larger padded window some are left out


def centred_crop(
    image: np.ndarray, box_xywh: np.ndarray, area_factor: float, output_size: int | None = None
) -> tuple[np.ndarray, float]:
    """A square around the box's centre; pixels at the border are repeated beyond the image (ATOM).

    Args:
        image: ``(H, W, 3)`` uint8.
        box_xywh: ``(4,)`` in image pixels, with positive size.
        area_factor: side of the square in units of ``sqrt(w * h)``.
        output_size: side of the result in pixels; ``None``: not resized.

    Returns:
        ``(S, S, 3)`` uint8, and how many of its pixels make one of the image's.
    """
    side = _side(box_xywh, area_factor)
    window = cut_window(image, _corner(box_xywh, side), side)
    if output_size is None:
        return window, 1.0
    return _resized(window, output_size), output_size / side


def box_in_centred_crop(box_xywh: np.ndarray, crop_box_xywh: np.ndarray, scale: float, crop_size: int) -> np.ndarray:
    """Where a box lies in a crop whose central pixel is the centre of ``crop_box_xywh``.

    The square's corner is a whole pixel, which this leaves out of account: it is off by half a pixel of the image at
    most. The published ATOM nets were trained so.

    Args:
        box_xywh: ``(..., 4)`` in image pixels.
        crop_box_xywh: ``(4,)``, the box that the crop was made for.
        scale: crop pixels per image pixel.
        crop_size: side of the crop in pixels.
    """
    box, around = np.asarray(box_xywh), np.asarray(crop_box_xywh)
    centre = box[..., :2] + 0.5 * box[..., 2:] - (around[:2] + 0.5 * around[2:])
    size = box[..., 2:] * scale
    return np.concatenate([(crop_size - 1) / 2 + centre * scale - 0.5 * size, size], axis=-1)


def padded_crop(
    image: np.ndarray, box_xywh: np.ndarray | list[float], area_factor: float, output_size: int
) -> tuple[np.ndarray, float]:
    """A square around the box's centre, black beyond the image (OSTrack).

    Where a box lies in it is what :func:`box_in_centred_crop` says. Of a window that is larger than 8,192 pixels only
    every second, third, ... pixel is taken, so that any box needs little memory.

    Args:
        image: ``(H, W, 3)`` uint8.
        box_xywh: ``(4,)`` in image pixels, with positive size.
        area_factor: side of the square in units of ``sqrt(w * h)``.
        output_size: side of the result in pixels.

    Returns:
        ``(S, S, 3)`` uint8, and how many of its pixels make one of the image's.
    """
    box = np.asarray(box_xywh, dtype=np.float64)
    step = -(-_side(box, area_factor) // _LARGEST_SIDE)
    side = _side(box / step, area_factor)
    thinned = image if step == 1 else image[::step, ::step]
    window = _padded_window(thinned, _corner(box / step, side), side)
    return _resized(window, output_size), output_size / (side * step)


def padding_mask(
    image_size_hw: tuple[int, int], box_xywh: np.ndarray, area_factor: float, output_size: int
) -> np.ndarray:
    """Which pixels of :func:`padded_crop` show something beyond the image.

    Args:
        image_size_hw: the image's.
        box_xywh, area_factor, output_size: as for the crop.

    Returns:
        ``(S, S)`` bool.
    """
    side = _side(box_xywh, area_factor)
    _, shown = _overlap(_corner(box_xywh, side), side, image_size_hw)
    # What is not beyond the image is a rectangle: its rows and columns are enough, whatever the window's size.
    rows, columns = (_is_mixed_with_the_rest(side, part, output_size) for part in shown)
    return rows[:, None] | columns[None]


def shifted_crop(
    image: np.ndarray,
    box_xywh: np.ndarray,
    area_factor: float,
    output_size: int,
    mode: CropMode = "replicate",
    max_scale_change: float | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """A square around the box, moved so that it shows as much of the image as it can (DiMP).

    Where it is larger than the image along an axis, it is centred on the image there.

    Args:
        image: ``(H, W, 3)`` uint8.
        box_xywh: ``(4,)`` in image pixels, with positive size.
        area_factor: side of the square in units of ``sqrt(w * h)``.
        output_size: side of the result in pixels.
        mode: ``replicate`` keeps the side, whatever the image's; ``inside`` makes it small enough to fit into the
            image, ``inside_major`` small enough to fit along the longer axis.
        max_scale_change: greatest factor by which the side is made smaller; ``None``: any.

    Returns:
        ``(S, S, 3)`` uint8, and the square ``[x, y, side, side]`` float64 in image pixels.
    """
    height, width = image.shape[:2]
    side = _side(box_xywh, area_factor)
    if mode != "replicate":
        too_large = (max if mode == "inside" else min)(side / height, side / width)
        change = max(1.0, min(too_large, math.inf if max_scale_change is None else max_scale_change))
        side = max(1, math.floor(side / change + 1e-9))
    corner = tuple(
        -((side - length) // 2) if side > length else min(max(start, 0), length - side)
        for start, length in zip(_corner(box_xywh, side), (width, height), strict=True)
    )
    window = cut_window(image, (corner[0], corner[1]), side)
    return _resized(window, output_size), np.array([*corner, side, side], dtype=np.float64)


def box_in_window(box_xywh: np.ndarray, window_xywh: np.ndarray, output_size: int) -> np.ndarray:
    """Where a box lies in a window that was resized to a square.

    Args:
        box_xywh: ``(..., 4)`` in image pixels.
        window_xywh: ``(4,)`` in image pixels.
        output_size: side of the square in pixels.
    """
    box, window = np.asarray(box_xywh), np.asarray(window_xywh)
    scale = output_size / window[2:]
    return np.concatenate([(box[..., :2] - window[:2]) * scale, box[..., 2:] * scale], axis=-1)


def cut_window(image: np.ndarray, corner_xy: tuple[int, int], side: int) -> np.ndarray:
    """A square of whole pixels; beyond the image its border is repeated.

    Where the window reaches the right or lower border, the image's last column or row is not shown; the one before it
    is repeated instead. pytracking counts its padding so, and the published nets were trained with it.

    Args:
        image: ``(H, W, 3)``.
        corner_xy: left and upper edge, also outside the image.
        side: in pixels.
    """
    height, width = image.shape[:2]
    columns = _indices(corner_xy[0], side, width)
    rows = _indices(corner_xy[1], side, height)
    return image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1][
        np.ix_(rows - rows[0], columns - columns[0])
    ]


def _is_mixed_with_the_rest(side: int, part: slice, output_size: int) -> np.ndarray:
    """``(output_size,)`` which places of a resized axis show something that is not in a part of the original one."""
    line = np.ones((side, 1), dtype=np.float32)
    line[part] = 0
    return cv2.resize(line, (1, output_size), interpolation=cv2.INTER_LINEAR).reshape(-1) != 0


def _padded_window(image: np.ndarray, corner_xy: tuple[int, int], side: int) -> np.ndarray:
    """A square of whole pixels; zero beyond the image, whose last column and row count as beyond."""
    source, target = _overlap(corner_xy, side, image.shape[:2])
    window = np.zeros((side, side, *image.shape[2:]), dtype=image.dtype)
    window[target] = image[source]
    return window


def _overlap(
    corner_xy: tuple[int, int], side: int, size_hw: tuple[int, ...]
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Where image and window meet, in the coordinates of each; empty where they do not."""
    parts = []
    for start, length in zip(reversed(corner_xy), size_hw, strict=False):
        # As in cut_window, a window that reaches the last column or row does not show it.
        end = min(start + side, length - 1)
        low = min(max(start, 0), length)
        parts.append((slice(low, max(end, low)), slice(low - start, max(end, low) - start)))
    (rows, to_rows), (columns, to_columns) = parts
    return (rows, columns), (to_rows, to_columns)


def _indices(start: int, side: int, length: int) -> np.ndarray:
    last = length - 1 if start + side < length else length - 2
    return np.clip(np.arange(start, start + side), 0, max(last, 0))


def _side(box_xywh: np.ndarray, area_factor: float) -> int:
    return max(1, math.ceil(math.sqrt(float(box_xywh[2]) * float(box_xywh[3])) * area_factor))


def _corner(box_xywh: np.ndarray, side: int) -> tuple[int, int]:
    x, y, w, h = (float(v) for v in box_xywh)
    return round(x + 0.5 * w - side * 0.5), round(y + 0.5 * h - side * 0.5)


def _resized(window: np.ndarray, output_size: int) -> np.ndarray:
    return np.asarray(cv2.resize(window, (output_size, output_size), interpolation=cv2.INTER_LINEAR))
