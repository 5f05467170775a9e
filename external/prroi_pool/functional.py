"""Precise RoI pooling as functions: argument checks, then the best back end that is there."""

from __future__ import annotations

import torch
from torch import Tensor

from prroi_pool import checks, compiled
from prroi_pool.exact import pool_exact, pool_grid_exact


def prroi_pool2d(
    features: Tensor,
    rois: Tensor,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float = 1.0,
    *,
    backend: str = "auto",
    check_values: bool = True,
) -> Tensor:
    """Precise RoI pooling (Jiang et al., "Acquisition of Localization Confidence", ECCV 2018, Eq. 7).

    The map is a continuous function, by bilinear interpolation between pixels centred on whole coordinates and zero
    outside the map. It is integrated exactly over every bin of every box and divided by the bin's area; an empty bin
    gives 0. The result is differentiable in the features and in the coordinates of the boxes.

    Args:
        features: ``(N, C, H, W)`` float16, bfloat16, float32 or float64.
        rois: ``(R, 5)`` rows ``[batch_index, x0, y0, x1, y1]`` in image units, of the features' dtype; float32 is
            taken as well beside half precision features.
        pooled_height: bins of a box in y, at least 1.
        pooled_width: bins of a box in x, at least 1.
        spatial_scale: cells of the map per image unit, 1 / stride.
        backend: ``compiled`` for the C++ or CUDA operator, ``exact`` for PyTorch operations, ``auto`` for the first
            that fits to the tensors (see ``python -m prroi_pool``).
        check_values: refuse boxes that are not finite or name an image that is not there. On an accelerator the check
            waits for the device. Without it the CPU operator refuses them all the same; elsewhere a box that is not
            finite gives NaN, and the batch index has to be right.

    Returns:
        ``(R, C, pooled_height, pooled_width)`` of the features' dtype.

    Raises:
        ValueError: a wrong shape, device, batch index, output size, or coordinates that are not finite.
        TypeError: a wrong dtype, or a size that is not a whole number.
        RuntimeError: ``backend="compiled"`` where no operator was built for these tensors.
    """
    checks.check_backend(backend)
    size = checks.check_size(pooled_height, pooled_width, spatial_scale)
    checks.check_features(features)
    checks.check_rois(rois, features)
    if check_values:
        checks.check_roi_values(rois, features.shape[0])
    if _use_compiled(backend, features):
        return compiled.pool(features, rois, *size)
    return pool_exact(features, rois, *size)


def prroi_pool_grid(
    features: Tensor,
    x0: Tensor,
    y0: Tensor,
    roi_size: Tensor,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float = 1.0,
    *,
    backend: str = "auto",
    check_values: bool = True,
) -> Tensor:
    """Precise RoI pooling of boxes of one size whose corners form a grid, as in DCFST ("Learning Feature Embeddings
    for Discriminant Model based Tracking", ECCV 2020).

    The same values as :func:`prroi_pool2d` with the boxes ``[x0[j], y0[i], x0[j] + w, y0[i] + h]``. In PyTorch
    operations the columns of the grid are pooled once for all of its rows, which saves most of the time; the operator
    for the CPU averages the rows of the map once for each row of boxes.

    Args:
        features: ``(N, C, H, W)`` float16, bfloat16, float32 or float64.
        x0: ``(N, Gx)`` left edges of the boxes of each image, in image units; any spacing.
        y0: ``(N, Gy)`` top edges.
        roi_size: ``(N, 2)`` width and height of the boxes of each image, in image units.
        pooled_height: bins of a box in y, at least 1.
        pooled_width: bins of a box in x, at least 1.
        spatial_scale: cells of the map per image unit, 1 / stride.
        backend: see :func:`prroi_pool2d`.
        check_values: refuse coordinates that are not finite; waits for the device on an accelerator.

    Returns:
        ``(N, Gy, Gx, C, pooled_height, pooled_width)`` of the features' dtype.

    Raises:
        ValueError: a wrong shape, device, output size, or coordinates that are not finite.
        TypeError: a wrong dtype, or a size that is not a whole number.
        RuntimeError: ``backend="compiled"`` where no operator was built for these tensors.
    """
    checks.check_backend(backend)
    height, width, scale = checks.check_size(pooled_height, pooled_width, spatial_scale)
    checks.check_features(features)
    images = features.shape[0]
    for name, value, form in (("x0", x0, "(N, Gx)"), ("y0", y0, "(N, Gy)"), ("roi_size", roi_size, "(N, 2)")):
        checks.check_boxes(name, value, features)
        if value.dim() != 2 or value.shape[0] != images or (name == "roi_size" and value.shape[1] != 2):
            raise ValueError(f"{name} must be {form} with N = {images} images, not {tuple(value.shape)}")
        if check_values:
            checks.check_finite(name, value)
    # In half precision a corner plus a size is rounded too much, and images cannot be counted.
    x0, y0, roi_size = (value.to(torch.promote_types(value.dtype, torch.float32)) for value in (x0, y0, roi_size))
    if not _use_compiled(backend, features):
        return pool_grid_exact(features, x0, y0, roi_size, height, width, scale)
    pooled = compiled.pool(features, _grid_rois(x0, y0, roi_size), height, width, scale)
    return pooled.reshape(images, y0.shape[1], x0.shape[1], features.shape[1], height, width)


def _grid_rois(x0: Tensor, y0: Tensor, roi_size: Tensor) -> Tensor:
    """The boxes of the grids, ``(N * Gy * Gx, 5)``."""
    shape = (x0.shape[0], y0.shape[1], x0.shape[1])
    index = torch.arange(shape[0], dtype=x0.dtype, device=x0.device)[:, None, None]
    x, y = x0[:, None, :], y0[:, :, None]
    width, height = roi_size[:, None, None, :].unbind(3)
    return torch.stack([side.expand(shape) for side in (index, x, y, x + width, y + height)], 3).reshape(-1, 5)


def _use_compiled(backend: str, features: Tensor) -> bool:
    if backend == "exact":
        return False
    if backend == "compiled":
        compiled.require(features)
        return True
    return compiled.serves(features)
