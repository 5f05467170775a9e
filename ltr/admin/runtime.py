"""Device, precision and threads of torch, decided in one place."""

from __future__ import annotations

import contextlib
import logging
from typing import Literal

import torch
from torch import nn

from ltr.admin.errors import UsageError, UserError
from ltr.admin.seeding import rng_for, seeded

__all__ = [
    "DTYPES", "Precision", "autocast", "compile_if_possible", "resolve_device", "rng_for", "seeded", "set_threads",
    "synchronize",
]  # fmt: skip

log = logging.getLogger(__name__)

Precision = Literal["fp32", "bf16", "fp16"]

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def resolve_device(device: str | torch.device = "auto") -> torch.device:
    """The torch device for a name.

    Args:
        device: "auto" (CUDA, else MPS, else the CPU), "cpu", "cuda", "cuda:1", "mps", or a `torch.device`.

    Raises:
        UsageError: not the name of a device.
        UserError: this machine, or this build of torch, has no such device.
    """
    if isinstance(device, str) and device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if _has_mps() else "cpu")
    try:
        resolved = torch.device(device)
    except RuntimeError:
        raise UsageError(f"unknown device {device!r}; use auto, cpu, cuda, cuda:<number> or mps") from None
    if resolved.type == "cuda":
        _check_cuda(resolved)
    elif resolved.type == "mps" and not _has_mps():
        raise UserError("device 'mps' is not available (it needs macOS on Apple silicon); use --device cpu")
    elif resolved.type == "meta":
        raise UsageError("device 'meta' holds no values; use auto, cpu, cuda, cuda:<number> or mps")
    return resolved


def _check_cuda(device: torch.device) -> None:
    if not torch.cuda.is_available():
        built = "it has no CUDA" if torch.version.cuda is None else "no usable GPU or driver was found"
        raise UserError(
            f"device '{device}' is not available: torch {torch.__version__}, {built}; use --device cpu, or "
            "see INSTALL.md for CUDA"
        )
    count = torch.cuda.device_count()
    if device.index is not None and device.index >= count:
        raise UserError(f"device '{device}' is not available: there are {count}, cuda:0 to cuda:{count - 1}")


def _has_mps() -> bool:
    return torch.backends.mps.is_available()


def autocast(
    device: torch.device | str, precision: Precision = "fp32"
) -> contextlib.AbstractContextManager[object]:
    """A context in which torch computes in the given precision; "fp32" switches an outer autocast off.

    Args:
        device: where the computation runs.
        precision: "fp32", "bf16" or "fp16".

    Raises:
        ValueError: another precision.
    """
    kind = torch.device(device).type
    if precision == "fp32":
        return torch.autocast(kind, enabled=False)
    if precision not in DTYPES:
        raise ValueError(f"precision must be fp32, bf16 or fp16, got {precision!r}")
    return torch.autocast(kind, dtype=DTYPES[precision])


def compile_if_possible(module: nn.Module, device: torch.device) -> nn.Module:
    """The module, compiled by `torch.compile` at its first call; itself where a trial shows that this does not work.

    CPUs need a C++ compiler, GPUs need Triton. A warning says what is missing.

    Args:
        module: what is called often.
        device: where it computes.
    """
    try:
        torch.compile(_trial)(torch.ones(2, device=device))
    except Exception as error:  # torch passes on whatever its compilers raise
        reason = str(error).strip().partition("\n")[0]
        log.warning("torch.compile does not work here (%s): going on without it", reason)
        return module
    return torch.compile(module)  # type: ignore[return-value]


def _trial(x: torch.Tensor) -> torch.Tensor:
    return x * 2 + 1


def synchronize(device: torch.device) -> None:
    """Waits until the device has done all it was given, so that a clock read next tells the truth."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def set_threads(count: int) -> None:
    """Limits the CPU threads of torch's operators in this process.

    Raises:
        UsageError: fewer than one.
    """
    if count < 1:
        raise UsageError(f"the number of threads must be at least 1, got {count}")
    torch.set_num_threads(count)
