"""Composing one picture of what a tracker did in a frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np

from pytracking.visualization.drawing import GREEN, RED, draw_box, draw_text

_YELLOW = (240, 200, 40)


def compose(
    image: np.ndarray,
    output: Mapping[str, Any],
    truth: Sequence[float] | None = None,
    maps: bool = False,
    label: str = "",
) -> np.ndarray:
    """The frame with boxes drawn in, and the tracker's maps beside it.

    Args:
        image: (H, W, 3) uint8 RGB; not changed.
        output: A tracker's output: `target_bbox` is drawn green, `search_area` yellow.
        truth: The annotated box, drawn red; NaN or None for none.
        maps: Show the two-dimensional arrays of `output["debug"]`, and `output["score_map"]`, as heat maps.
        label: Text in the lower left corner; ASCII.

    Returns:
        (H, W', 3) uint8 RGB.
    """
    picture = image.copy()
    if (area := output.get("search_area")) is not None and np.size(area) == 4:
        draw_box(picture, [float(value) for value in np.ravel(area)], _YELLOW)
    if truth is not None:
        draw_box(picture, truth, RED)
    draw_box(picture, output["target_bbox"], GREEN)
    if label:
        draw_text(picture, label, (4, picture.shape[0] - 6))
    if not maps:
        return picture
    heat_maps = [heat_map(array, len(picture), name) for name, array in _arrays(output).items()]
    return np.concatenate([picture, *heat_maps], axis=1)


def heat_map(array: np.ndarray, height: int, name: str = "") -> np.ndarray:
    """A square picture of a 2-D array, dark blue for its smallest and red for its largest value.

    Args:
        array: (h, w) numbers; values that are not finite are shown as the smallest.
        height: Side of the picture in pixels.
        name: Written into it.

    Returns:
        (height, height, 3) uint8 RGB.
    """
    values = np.asarray(array, dtype=np.float64)
    finite = np.isfinite(values)
    low, high = (values[finite].min(), values[finite].max()) if finite.any() else (0.0, 0.0)
    scaled = (np.where(finite, values, low) - low) / max(high - low, 1e-12) * 255
    colors = cv2.applyColorMap(scaled.astype(np.uint8), cv2.COLORMAP_JET)
    square = cv2.resize(colors, (height, height), interpolation=cv2.INTER_NEAREST)
    picture = np.ascontiguousarray(cv2.cvtColor(square, cv2.COLOR_BGR2RGB))
    if name:
        draw_text(picture, f"{name} {low:.3g}..{high:.3g}", (4, height - 6), (255, 255, 255))
    return picture


def _arrays(output: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The 2-D arrays and tensors that the output has for debugging; leading dimensions of one are dropped."""
    named = {"score_map": output.get("score_map"), **(output.get("debug") or {})}
    arrays = {}
    for name, value in named.items():
        if value is None:
            continue
        value = value.detach().float().cpu().numpy() if hasattr(value, "detach") else value
        array = np.squeeze(np.asarray(value)) if np.size(value) > 1 else np.zeros(0)
        if array.ndim == 2 and array.dtype.kind in "buif":
            arrays[str(name)] = array
    return arrays
