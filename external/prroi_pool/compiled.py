"""The compiled operators: loading them, and what PyTorch has to know about them beside their kernels.

``_C`` holds the schema and the CPU kernels, ``_C_cuda`` the CUDA kernels. Either may be missing: pooling then takes
the exact path, and :func:`status` and :func:`require` say why.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from prroi_pool.exact import pool_exact

BUILD_COMMAND = "python setup.py build_ext --inplace"
_HALF = (torch.float16, torch.bfloat16)


@dataclass(frozen=True)
class BackendStatus:
    """Whether a back end can be used.

    Attributes:
        name: ``exact``, ``cpu`` or ``cuda``.
        available: whether it can.
        reason: why not; empty if it can.
    """

    name: str
    available: bool
    reason: str


def _load(module: str) -> str:
    """Imports an extension module; why it could not be imported, or nothing."""
    try:
        importlib.import_module(f"prroi_pool.{module}")
    except ModuleNotFoundError:
        return f"prroi_pool.{module} is not built"
    except (ImportError, OSError) as error:
        return f"prroi_pool.{module} cannot be loaded, was it built for another torch? {error}"
    return ""


_MISSING = {"cpu": _load("_C")}
_MISSING["cuda"] = _MISSING["cpu"] or _load("_C_cuda")


def status() -> list[BackendStatus]:
    """The back ends, the exact one first."""
    compiled = [BackendStatus(name, not reason, reason) for name, reason in _MISSING.items()]
    return [BackendStatus("exact", True, ""), *compiled]


def serves(features: Tensor) -> bool:
    """Whether there is a kernel for these features, and nothing under way that only the exact path can do.

    That is forward-mode differentiation, and an export, whose result must not need our operators.
    """
    exporting = torch.compiler.is_exporting() or torch.onnx.is_in_onnx_export()
    return _MISSING.get(features.device.type) == "" and not exporting and forward_ad._current_level < 0


def require(features: Tensor) -> None:
    """Raises RuntimeError unless there is a kernel for the device of ``features``."""
    device = features.device.type
    if device not in _MISSING:
        raise RuntimeError(f'backend="compiled" has no operator for {device}: use backend="exact"')
    if _MISSING[device]:
        raise RuntimeError(f'backend="compiled": {_MISSING[device]}. Build it: {BUILD_COMMAND}')


def pool(features: Tensor, rois: Tensor, pooled_height: int, pooled_width: int, spatial_scale: float) -> Tensor:
    """The pooling of :func:`prroi_pool.prroi_pool2d` by the compiled operator, without checks of shapes."""
    op = torch.ops.prroi_pool.pool
    if features.device.type == "cpu" and features.dtype in _HALF:
        pooled = op(features.float(), rois.float(), pooled_height, pooled_width, spatial_scale)
        return pooled.to(features.dtype)
    return op(features, rois, pooled_height, pooled_width, spatial_scale)


def _pool_fake(features: Tensor, rois: Tensor, pooled_height: int, pooled_width: int, scale: float) -> Tensor:
    return features.new_empty((rois.shape[0], features.shape[1], pooled_height, pooled_width))


def _backward_features_fake(grad: Tensor, rois: Tensor, images: int, height: int, width: int, scale: float) -> Tensor:
    return grad.new_empty((images, grad.shape[1], height, width))


def _backward_rois_fake(grad: Tensor, features: Tensor, rois: Tensor, scale: float) -> Tensor:
    return rois.new_empty(rois.shape)


def _setup_context(ctx: Any, inputs: tuple, output: Tensor) -> None:
    features, rois, ctx.pooled_height, ctx.pooled_width, ctx.scale = inputs
    ctx.save_for_backward(features, rois)


def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    features, rois = ctx.saved_tensors
    if torch.is_grad_enabled():  # create_graph=True

        def exact(features: Tensor, rois: Tensor) -> Tensor:
            return pool_exact(features, rois, ctx.pooled_height, ctx.pooled_width, ctx.scale)

        return (*torch.func.vjp(exact, features, rois)[1](grad), None, None, None)
    grad_features = grad_rois = None
    if ctx.needs_input_grad[0]:
        images, _, height, width = features.shape
        grad_features = torch.ops.prroi_pool.pool_backward_features(grad, rois, images, height, width, ctx.scale)
    if ctx.needs_input_grad[1]:
        grad_rois = torch.ops.prroi_pool.pool_backward_rois(grad, features, rois, ctx.scale)
    return grad_features, grad_rois, None, None, None


def _register() -> None:
    fakes: dict[str, Callable[..., Tensor]] = {
        "pool": _pool_fake,
        "pool_backward_features": _backward_features_fake,
        "pool_backward_rois": _backward_rois_fake,
    }
    for name, fake in fakes.items():
        torch.library.register_fake(f"prroi_pool::{name}", fake)
    torch.library.register_autograd("prroi_pool::pool", _backward, setup_context=_setup_context)


if not _MISSING["cpu"]:
    _register()
