"""What the arguments of the pooling must be, with errors that name the argument and the remedy."""

from __future__ import annotations

from numbers import Integral, Real

import torch
from torch import Tensor

from prroi_pool.exact import values_can_be_read

_HALF = (torch.float16, torch.bfloat16)
_DTYPES = (torch.float32, torch.float64, *_HALF)
BACKENDS = ("auto", "exact", "compiled")


def check_backend(backend: str) -> None:
    """Raises ValueError unless ``backend`` is one of ``BACKENDS``."""
    if backend not in BACKENDS:
        raise ValueError(f"backend must be one of {', '.join(BACKENDS)}, not {backend!r}")


def check_size(pooled_height: int, pooled_width: int, spatial_scale: float) -> tuple[int, int, float]:
    """The output size and the scale as Python's numbers: PyTorch does not take numpy's everywhere.

    Raises ValueError or TypeError unless the size is positive and the scale positive and finite.
    """
    for name, value in (("pooled_height", pooled_height), ("pooled_width", pooled_width)):
        if isinstance(value, bool) or not isinstance(value, (Integral, torch.SymInt)):
            raise TypeError(f"{name} must be a whole number of bins, not {value!r}")
        if value < 1:
            raise ValueError(f"{name} must be at least 1, not {value}")
    if isinstance(spatial_scale, bool) or not isinstance(spatial_scale, (Real, torch.SymInt, torch.SymFloat)):
        raise TypeError(f"spatial_scale must be a number (1 / stride of the map), not {spatial_scale!r}")
    if not 0 < spatial_scale < float("inf"):
        raise ValueError(f"spatial_scale must be positive and finite (1 / stride of the map), not {spatial_scale!r}")
    height, width = (n if isinstance(n, (int, torch.SymInt)) else int(n) for n in (pooled_height, pooled_width))
    return height, width, float(spatial_scale)


def check_features(features: Tensor) -> None:
    """Raises ValueError or TypeError unless features are ``(N, C, H, W)`` and floating point."""
    if not isinstance(features, Tensor):
        raise TypeError(f"features must be a tensor, not {type(features).__name__}")
    if features.dim() != 4:
        raise ValueError(f"features must be (N, C, H, W), not {tuple(features.shape)}")
    if features.dtype not in _DTYPES:
        raise TypeError(f"features must be floating point, not {features.dtype}: use features.float()")


def check_boxes(name: str, boxes: Tensor, features: Tensor) -> None:
    """Raises ValueError or TypeError unless ``boxes`` fit to ``features`` in kind, device and dtype.

    Half precision features may come with float32 boxes, as mixed precision training has it: half precision cannot
    hold a coordinate to a tenth of a pixel.
    """
    if not isinstance(boxes, Tensor):
        raise TypeError(f"{name} must be a tensor, not {type(boxes).__name__}")
    if boxes.device != features.device:
        raise ValueError(f"{name} is on {boxes.device} but features is on {features.device}: move one of them")
    allowed = (features.dtype, torch.float32) if features.dtype in _HALF else (features.dtype,)
    if boxes.dtype not in allowed:
        raise TypeError(f"{name} is {boxes.dtype} but features is {features.dtype}: use {name}.to(features.dtype)")


def check_rois(rois: Tensor, features: Tensor) -> None:
    """Raises ValueError or TypeError unless rois are ``(R, 5)`` and fit to ``features``."""
    check_boxes("rois", rois, features)
    if rois.dim() != 2 or rois.shape[1] != 5:
        raise ValueError(f"rois must be (R, 5) with rows [batch_index, x0, y0, x1, y1], not {tuple(rois.shape)}")


def check_roi_values(rois: Tensor, images: int) -> None:
    """Raises ValueError if a coordinate is not finite or a batch index is not one of ``0 .. images - 1``.

    On an accelerator this waits for the device. It does nothing while a graph is traced or captured.
    """
    if not _values_can_be_read(rois) or not rois.numel():
        return
    check_finite("rois", rois)
    index = rois.detach()[:, 0]
    wrong = (index < 0) | (index >= images) | (index != index.floor())
    if bool(wrong.any()):
        raise ValueError(
            f"rois[:, 0] holds the batch index {index[wrong][0].item():g}, but features has {images} images: "
            f"use 0 .. {images - 1}"
        )


def check_finite(name: str, values: Tensor) -> None:
    """Raises ValueError if a value is NaN or infinite; does nothing while a graph is traced or captured."""
    if _values_can_be_read(values) and not bool(torch.isfinite(values.detach()).all()):
        raise ValueError(f"{name} holds NaN or infinite values: check the boxes before pooling")


def _values_can_be_read(tensor: Tensor) -> bool:
    capturing = tensor.device.type == "cuda" and torch.cuda.is_current_stream_capturing()
    return values_can_be_read(tensor) and not capturing
