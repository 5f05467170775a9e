"""The compiled operators: which of them are there, when they serve, and the call.

``_C`` holds the schema and the CPU kernels, ``_C_cuda`` the CUDA kernels. Either may be missing: pooling then takes
the exact path, and :func:`status` and :func:`require` say why.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.autograd import forward_ad

from prroi_pool import operators

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
    """Whether there is a kernel for these features, and nothing is under way that the exact path does better.

    That is an export, whose result must not need our operators, and what the operators cannot do at all.
    """
    if _MISSING.get(features.device.type) != "" or _obstacle():
        return False
    return not (torch.compiler.is_exporting() or torch.onnx.is_in_onnx_export())


def require(features: Tensor) -> None:
    """Raises RuntimeError unless there is a kernel for the device of ``features``, and it can be used now."""
    device = features.device.type
    if device not in _MISSING:
        raise RuntimeError(f'backend="compiled" has no operator for {device}: use backend="exact"')
    if _MISSING[device]:
        raise RuntimeError(f'backend="compiled": {_MISSING[device]}. Build it: {BUILD_COMMAND}')
    if _obstacle():
        raise RuntimeError(f'backend="compiled" does not work with {_obstacle()}: use backend="auto" or "exact"')


def _obstacle() -> str:
    """What is under way that only the exact path can do, or nothing."""
    if forward_ad._current_level >= 0:
        return "forward-mode differentiation"
    if torch.compiler.is_compiling() and torch._C._are_functorch_transforms_active():
        return "torch.func inside torch.compile"
    return ""


def pool(features: Tensor, rois: Tensor, pooled_height: int, pooled_width: int, spatial_scale: float) -> Tensor:
    """The pooling of :func:`prroi_pool.prroi_pool2d` by the compiled operator, without checks of shapes."""
    if features.device.type == "cpu" and features.dtype in _HALF:
        pooled = operators.pool(features.float(), rois.float(), pooled_height, pooled_width, spatial_scale)
        return pooled.to(features.dtype)
    return operators.pool(features, rois, pooled_height, pooled_width, spatial_scale)


if not _MISSING["cpu"]:
    operators.register()
