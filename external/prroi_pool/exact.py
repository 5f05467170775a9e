"""Precise RoI pooling in PyTorch operations: exact, on any device, differentiable to any order.

The integral of a bilinearly interpolated map over an axis-parallel bin is separable: a bin's value is
``wy F wx^T``, where ``wx[i]`` is the mean of the hat function of pixel ``i`` over the bin's extent in x
("Acquisition of Localization Confidence for Accurate Object Detection", ECCV 2018, Eq. 7, divided by the area).
"""

from __future__ import annotations

import torch
from torch import Tensor

# RoIs are pooled in chunks of which no intermediate result has more elements than this: 16 MB stay in a processor's
# cache; an accelerator is better used by fewer, larger products (256 MB).
CHUNK_ON_CPU = 1 << 22
CHUNK_ELSEWHERE = 1 << 26


def hat_mean(first: Tensor, last: Tensor, size: Tensor) -> Tensor:
    """Mean of the hat function ``max(0, 1 - |t|)`` over an interval, right to rounding however short it is.

    A difference of integrals divided by the size would lose the digits of a tiny box and all those of its gradient.
    Here an interval that lies on one slope has the value at its middle, whatever its size.

    Automatic differentiation gives the right derivatives also for ends on -1, 0 or 1, which edges on whole pixels
    are: the cases meet there with equal derivatives. ``inside`` has to be strict for that, because ``clamp`` may or
    may not pass a gradient on at its limits.

    Args:
        first: beginnings of the intervals.
        last: their ends.
        size: ``last - first`` before rounding, positive.
    """
    a, b = first.clamp(-1.0, 1.0), last.clamp(-1.0, 1.0)
    inside = (first > -1) & (last < 1)
    share = torch.where(inside, 1.0, (b - a) / size)
    over_the_top = a * b < 0
    return torch.where(over_the_top, share - (a * a + b * b) / (2 * size), share * (1 - 0.5 * (a + b).abs()))


def bin_weights(low: Tensor, high: Tensor, bins: int, pixels: int) -> Tensor:
    """Mean of every pixel's hat function over every bin.

    Args:
        low: ``(...)`` first edge of the box in cells of the map; cell ``i`` is centred on the coordinate ``i``.
        high: ``(...)`` last edge. A box with ``high <= low`` is empty.
        bins: number of equal bins.
        pixels: cells of the map along this axis.

    Returns:
        ``(..., bins, pixels)`` weights, each row with a sum of at most 1; rows of empty boxes are 0, and so are
        their derivatives.
    """
    size = (high - low).clamp(min=0)[..., None, None] / bins
    steps = torch.arange(bins + 1, dtype=low.dtype, device=low.device)[:, None]
    cells = torch.arange(pixels, dtype=low.dtype, device=low.device)
    edges = (low[..., None, None] - cells) + size * steps
    empty = size == 0
    size = torch.where(empty, 1.0, size)
    mean = hat_mean(edges[..., :-1, :], edges[..., 1:, :], size)
    return torch.where(empty, 0.0, mean)


def axis_weights(low: Tensor, high: Tensor, scale: float, bins: int, pixels: int, like: Tensor) -> Tensor:
    """:func:`bin_weights` of boxes in image units, computed in float64, in the working precision of ``like``.

    In float32 the coordinate itself is rounded to a millionth of a map's size, which a tiny box is not much larger
    than. Devices without float64 (MPS) get their weights, which are few, from the CPU.
    """
    home = torch.device("cpu") if like.device.type == "mps" else like.device
    low, high = (edge.to(home, torch.float64) * scale for edge in (low, high))
    return bin_weights(low, high, bins, pixels).to(like.device, working_dtype(like))


def box_weights(
    boxes: Tensor, size: tuple[int, int], cells: tuple[int, int], scale: float, like: Tensor
) -> tuple[Tensor, Tensor]:
    """``(..., pw, W)`` and ``(..., ph, H)`` weights of ``(..., 4)`` boxes ``[x0, y0, x1, y1]``.

    Where a box has as many rows of bins as columns, both axes are computed at once: for few boxes the time goes into
    the number of operations, not into their size.
    """
    if size[0] == size[1]:
        weights = axis_weights(boxes[..., :2], boxes[..., 2:], scale, size[0], max(cells), like)
        return weights[..., 0, :, : cells[1]], weights[..., 1, :, : cells[0]]
    x0, y0, x1, y1 = boxes.unbind(-1)
    wx = axis_weights(x0, x1, scale, size[1], cells[1], like)
    return wx, axis_weights(y0, y1, scale, size[0], cells[0], like)


def working_dtype(features: Tensor) -> torch.dtype:
    """float64 for float64 features, float32 for all others: half precision would round the weights too much."""
    return torch.float64 if features.dtype == torch.float64 else torch.float32


def pool_exact(features: Tensor, rois: Tensor, pooled_height: int, pooled_width: int, spatial_scale: float) -> Tensor:
    """The pooling of :func:`prroi_pool.prroi_pool2d`, without its checks."""
    size = (pooled_height, pooled_width)
    if features.shape[0] == 1:
        return _pool_image(features, rois[:, 1:], size, spatial_scale)
    if features.shape[0] > 1 and features.device.type == "cpu" and values_can_be_read(rois):
        return _pool_by_image(features, rois, size, spatial_scale)
    return _pool_by_index(features, rois, size, spatial_scale)


def _pool_image(features: Tensor, boxes: Tensor, size: tuple[int, int], scale: float) -> Tensor:
    """Pools one image ``(1, C, H, W)`` at ``(K, 4)`` boxes; ``(K, C, ph, pw)``."""
    _, channels, height, _ = features.shape
    parts = _chunks(boxes, channels * height * size[1])
    return _join([_pool_boxes(features, part[None], size, scale)[0] for part in parts])


def _pool_by_image(features: Tensor, rois: Tensor, size: tuple[int, int], scale: float) -> Tensor:
    """One image after the other, so that no map is copied for each of its RoIs."""
    index = rois[:, 0].detach().long()
    order = torch.argsort(index, stable=True)
    counts = torch.bincount(index, minlength=features.shape[0]).tolist()
    # Split, not indexed: the gradients of the images are then joined once, not N times added to N maps.
    images = zip(features.split(1), rois[:, 1:].index_select(0, order).split(counts), strict=True)
    pooled = torch.cat([_pool_image(image, boxes, size, scale) for image, boxes in images])
    return pooled.index_select(0, torch.argsort(order))


def _pool_by_index(features: Tensor, rois: Tensor, size: tuple[int, int], scale: float) -> Tensor:
    """With a copy of the map for every RoI, for which nobody has to look at the batch index."""
    _, channels, height, width = features.shape
    pooled = []
    for part in _chunks(rois, channels * height * width):
        maps = features.index_select(0, part[:, 0].long())
        pooled.append(_pool_boxes(maps, part[:, None, 1:], size, scale)[:, 0])
    return _join(pooled)


def _chunks(boxes: Tensor, elements: int) -> tuple[Tensor, ...]:
    """Boxes in parts that need intermediate results of ``CHUNK_*`` elements, if each needs ``elements``."""
    if torch.compiler.is_compiling():
        return (boxes,)
    limit = CHUNK_ON_CPU if boxes.device.type == "cpu" else CHUNK_ELSEWHERE
    return boxes.split(max(1, limit // max(elements, 1)))


def _join(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def values_can_be_read(tensor: Tensor) -> bool:
    """Whether Python may look at values: not while a graph is traced, nor inside ``torch.func`` transforms."""
    return not (
        torch.compiler.is_compiling()
        or torch.jit.is_tracing()
        or torch.onnx.is_in_onnx_export()
        or torch._C._functorch.is_functorch_wrapped_tensor(tensor)
    )


def _pool_boxes(features: Tensor, boxes: Tensor, size: tuple[int, int], scale: float) -> Tensor:
    """Pools ``(N, C, H, W)`` at ``(N, K, 4)`` boxes ``[x0, y0, x1, y1]``; ``(N, K, C, ph, pw)``.

    The order of axes is such that nothing but the result has to be permuted in memory.
    """
    images, channels, height, width = features.shape
    count = boxes.shape[1]
    wx, wy = box_weights(boxes, size, (height, width), scale, features)
    with torch.autocast(features.device.type, enabled=False):
        maps = features.to(wx.dtype).reshape(images, channels * height, width)
        rows = wx.reshape(images, count * size[1], width) @ maps.transpose(1, 2)
        pooled = rows.reshape(images, count, size[1] * channels, height) @ wy.transpose(2, 3)
    pooled = pooled.reshape(images, count, size[1], channels, size[0]).permute(0, 1, 3, 4, 2)
    return pooled.to(features.dtype).contiguous()


def pool_grid_exact(
    features: Tensor,
    x0: Tensor,
    y0: Tensor,
    roi_size: Tensor,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
) -> Tensor:
    """The pooling of :func:`prroi_pool.prroi_pool_grid`, without its checks.

    There is one product per row of bins: their stack is the result in its order, where a single product would have to
    be permuted, and moving the result through memory once more takes as long as computing it.
    """
    images, channels, height, width = features.shape
    columns, rows = x0.shape[1], y0.shape[1]
    wx = axis_weights(x0, x0 + roi_size[:, :1], spatial_scale, pooled_width, width, features)
    wy = axis_weights(y0, y0 + roi_size[:, 1:], spatial_scale, pooled_height, height, features)
    with torch.autocast(features.device.type, enabled=False):
        maps = features.to(wx.dtype).reshape(images, channels * height, width)
        strips = maps @ wx.reshape(images, columns * pooled_width, width).transpose(1, 2)
        strips = strips.reshape(images, channels, height, columns, pooled_width).permute(0, 2, 3, 1, 4)
        strips = strips.reshape(images, height, columns * channels * pooled_width)
        pooled = [wy[:, :, bin_row] @ strips for bin_row in range(pooled_height)]
    shape = (images, rows, columns, channels, pooled_width)
    return torch.stack([part.reshape(shape) for part in pooled], 4).to(features.dtype)
