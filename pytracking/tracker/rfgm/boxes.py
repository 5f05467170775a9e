"""From the head's boxes to boxes in the image."""

from __future__ import annotations

from collections.abc import Sequence


def box_in_image(
    box_cxcywh: Sequence[float], around_xywh: Sequence[float], side: float
) -> list[float]:
    """Where a box of the search region lies in the image.

    Args:
        box_cxcywh: in fractions of the region.
        around_xywh: the box that the region is centred on, in image pixels.
        side: of the region in image pixels.

    Returns:
        ``[x, y, w, h]`` in image pixels.
    """
    cx, cy, w, h = (fraction * side for fraction in box_cxcywh)
    x0, y0, w0, h0 = around_xywh
    return [x0 + 0.5 * w0 + cx - 0.5 * (side + w), y0 + 0.5 * h0 + cy - 0.5 * (side + h), w, h]


def size_factors(found_xywh: Sequence[float], true_xywh: Sequence[float], limit: float = 2.0) -> tuple[float, float]:
    """What to multiply a width and a height with, so that they become the true ones; at most the limit either way."""
    width, height = (
        min(max(true / max(found, 1e-6), 1 / limit), limit)
        for found, true in zip(found_xywh[2:], true_xywh[2:], strict=True)
    )
    return width, height


def scaled_size(box_xywh: Sequence[float], factors: tuple[float, float]) -> list[float]:
    """A box of the same centre, its width and height multiplied."""
    x, y, w, h = box_xywh
    width, height = w * factors[0], h * factors[1]
    return [x + 0.5 * (w - width), y + 0.5 * (h - height), width, height]


def slowed_size(box_xywh: Sequence[float], last_xywh: Sequence[float], rate: float) -> list[float]:
    """A box of the same centre whose size goes only a share of the way from the last one's, in logarithms.

    Args:
        box_xywh: where the target is now.
        last_xywh: where it was.
        rate: 0 keeps the last size, 1 takes the new one.
    """
    x, y, w, h = box_xywh
    width, height = (old * (new / old) ** rate for old, new in zip(last_xywh[2:], (w, h), strict=True))
    return [x + 0.5 * (w - width), y + 0.5 * (h - height), width, height]


def clipped_box(box_xywh: Sequence[float], image_size_hw: tuple[int, int], margin: float) -> list[float]:
    """The part of a box in the image; along each axis at least ``margin`` pixels long, and so far in the image.

    In images smaller than that it may reach beyond their border.
    """
    x, y, w, h = box_xywh
    height, width = image_size_hw
    x0, x1 = _clipped(x, x + w, width, margin)
    y0, y1 = _clipped(y, y + h, height, margin)
    return [x0, y0, x1 - x0, y1 - y0]


def _clipped(start: float, end: float, length: int, margin: float) -> tuple[float, float]:
    start = min(max(start, 0.0), max(length - margin, 0.0))
    return start, max(min(max(end, margin), length), start + margin)
