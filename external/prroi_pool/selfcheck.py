"""Checks every back end against the exact one in float64, and times them: the work of ``python -m prroi_pool``."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from prroi_pool import compiled
from prroi_pool.functional import prroi_pool2d, prroi_pool_grid

# Largest error that passes, as a share of the largest value.
TOLERANCES = {torch.float64: 1e-11, torch.float32: 2e-6, torch.float16: 2e-3, torch.bfloat16: 1.6e-2}


@dataclass(frozen=True)
class Check:
    """The largest errors of one back end against the exact one in float64, as shares of the largest value.

    Attributes:
        backend: ``exact``, ``cpu`` or ``cuda``.
        device: on which it ran.
        dtype: of the features.
        errors: of the pooled values, the gradient to the features, the gradient to the boxes.
        tolerance: the largest error that passes.
        problem: what the operator failed with, or nothing.
    """

    backend: str
    device: str
    dtype: str
    errors: tuple[float, ...] = ()
    tolerance: float = 0.0
    problem: str = ""

    @property
    def passed(self) -> bool:
        """Whether all errors are within the tolerance; NaN is not."""
        return not self.problem and all(error <= self.tolerance for error in self.errors)


@dataclass(frozen=True)
class Case:
    """Sizes to time: ``rois`` boxes on one ``(1, channels, side, side)`` map, ``bins`` x ``bins`` each.

    Attributes:
        grid: whether the corners of the boxes form a square grid, and all have one size.
    """

    net: str
    rois: int
    channels: int
    side: int
    bins: int
    grid: bool = False


CASES = (
    Case("IoU-Net", 10, 256, 36, 5),
    Case("IoU-Net", 10, 256, 18, 3),
    Case("DCFST", 961, 128, 36, 8, grid=True),
    Case("DCFST", 961, 256, 18, 4, grid=True),
)


@dataclass(frozen=True)
class Timing:
    """Times of forward and backward in one case.

    Attributes:
        ms: milliseconds by back end: ``exact``, ``compiled``, and ``grid`` for boxes on a grid in PyTorch operations.
    """

    case: Case
    device: str
    ms: dict[str, float]


def devices() -> list[str]:
    """The devices to check on: the CPU, and the GPU if there is one."""
    return ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]


def is_compiled_for(device: str) -> bool:
    """Whether the compiled operator for a device is there; it has the device's name."""
    return any(status.name == device and status.available for status in compiled.status())


def check_all() -> list[Check]:
    """Checks every back end that is there, on every device that is there."""
    checks = []
    for device in devices():
        dtypes = [torch.float64, torch.float32, *([torch.float16, torch.bfloat16] if device == "cuda" else [])]
        # The exact one in float64 on the CPU is what all are compared with.
        checks += [check("exact", device, dtype) for dtype in dtypes if (device, dtype) != ("cpu", torch.float64)]
        if is_compiled_for(device):
            checks += [check(device, device, dtype) for dtype in dtypes]
    return checks


def check(backend: str, device: str, dtype: torch.dtype) -> Check:
    """Compares a back end with the exact one in float64, on the same numbers, in values and gradients."""
    name = str(dtype).removeprefix("torch.")
    worst: tuple[float, ...] = (0.0, 0.0, 0.0)
    try:
        for features, rois, seed in _samples():
            # Half precision features come with boxes in float32, as mixed precision has it.
            boxes = rois.to(device, torch.float64 if dtype == torch.float64 else torch.float32)
            given = (features.to(device, dtype), boxes, seed.to(device, dtype))
            found = _values_and_gradients(given, "exact" if backend == "exact" else "compiled")
            right = _values_and_gradients(tuple(tensor.double().cpu() for tensor in given), "exact")
            worst = tuple(map(_worse, worst, map(_error, found, right)))
    except RuntimeError as error:  # such as a GPU that the operator was not compiled for
        return Check(backend, device, name, problem=(str(error).strip().splitlines() or [repr(error)])[0])
    return Check(backend, device, name, worst, TOLERANCES[dtype])


def _samples() -> list[tuple[Tensor, Tensor, Tensor]]:
    """Maps, boxes in image units at a stride of 8, gradients of the result: every kind of box; the size of IoU-Net."""
    random = torch.Generator().manual_seed(0)
    kinds = torch.tensor([
        [0.0, 10.3, 21.7, 60.1, 80.9],  # inside
        [1.0, 16.0, 8.0, 64.0, 48.0],  # on whole cells
        [1.0, -30.0, -9.5, 40.2, 33.3],  # partly outside
        [0.0, 90.0, 60.0, 170.0, 130.0],
        [0.0, 500.0, 500.0, 600.0, 600.0],  # wholly outside
        [1.0, 40.0, 40.0, 40.0, 60.0],  # empty
        [0.0, 50.0, 30.0, 50.4, 30.4],  # far smaller than a cell
        [1.0, -500.0, -500.0, 500.0, 500.0],  # far larger than the map
    ])  # fmt: skip
    return [
        (torch.randn(2, 5, 13, 17, generator=random), kinds, torch.randn(8, 5, 3, 5, generator=random)),
        (
            torch.randn(1, 256, 36, 36, generator=random),
            _scattered(10, random),
            torch.randn(10, 256, 5, 5, generator=random),
        ),
    ]


def _scattered(count: int, random: torch.Generator) -> Tensor:
    corners = torch.rand(count, 2, generator=random) * 160
    sizes = 40 + torch.rand(count, 2, generator=random) * 100
    return torch.cat([torch.zeros(count, 1), corners, corners + sizes], dim=1)


def _values_and_gradients(given: tuple[Tensor, ...], backend: str) -> list[Tensor]:
    features, rois, seed = given
    features, rois = features.detach().requires_grad_(), rois.detach().requires_grad_()
    pooled = prroi_pool2d(features, rois, seed.shape[2], seed.shape[3], 1 / 8, backend=backend)
    return [pooled.detach(), *torch.autograd.grad(pooled, (features, rois), seed)]


def _error(found: Tensor, right: Tensor) -> float:
    return float((found.double().cpu() - right).abs().max() / right.abs().max())


def _worse(a: float, b: float) -> float:
    return b if b != b else max(a, b)  # NaN is the worst


def time_case(case: Case, device: str, rounds: int) -> Timing:
    """Times forward and backward in float32 of each back end of a device in turn; the least of all rounds counts."""
    random = torch.Generator().manual_seed(0)
    features = torch.randn(1, case.channels, case.side, case.side, generator=random).to(device).requires_grad_()
    scale = case.side / 288
    runs: dict[str, Callable[[], Tensor]] = {}
    if case.grid:
        at, size = torch.linspace(0, 200, round(case.rois**0.5)), torch.tensor([[72.0, 56.0]])
        corners = torch.cartesian_prod(at, at).flip(1)
        rois = torch.cat([torch.zeros(len(corners), 1), corners, corners + size], dim=1)
        x0, y0, roi_size = (tensor.to(device).requires_grad_() for tensor in (at[None], at[None].clone(), size))
    else:
        rois = _scattered(case.rois, random)
    rois = rois.to(device).requires_grad_()

    def per_box(backend: str) -> Callable[[], Tensor]:
        return lambda: prroi_pool2d(features, rois, case.bins, case.bins, scale, backend=backend)

    runs["exact"] = per_box("exact")
    if is_compiled_for(device):
        runs["compiled"] = per_box("compiled")
    if case.grid:
        runs["grid"] = lambda: prroi_pool_grid(features, x0, y0, roi_size, case.bins, case.bins, scale, backend="exact")
    for run in runs.values():  # warms up
        _seconds(run, device)
    times = [{name: 1000 * _seconds(run, device) for name, run in runs.items()} for _ in range(rounds)]
    return Timing(case, device, {name: min(turn[name] for turn in times) for name in runs})


def _seconds(run: Callable[[], Tensor], device: str) -> float:
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    wait()
    started = time.perf_counter()
    run().sum().backward()
    wait()
    return time.perf_counter() - started
