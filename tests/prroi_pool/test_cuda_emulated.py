"""The CUDA kernels' text, compiled for the host: threads stand for threads, so no GPU is needed.

It shows that the arithmetic is right, that nothing lies out of bounds and that no barrier is missing. That the
operators around the kernels work shows only test_cuda.py, where there is a GPU.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from prroi_pool.exact import pool_exact

SOURCES = Path(__file__).parent / "emulation"
KERNELS = Path(__file__).resolve().parents[2] / "external" / "prroi_pool" / "csrc"
COMPILE = ("g++", "-std=c++20", f"-I{KERNELS}", "-pthread")
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-6, torch.bfloat16: 5e-3}  # of the largest value

NAMES = ("output", "gradient to the features", "gradient to the boxes")


class Launch(NamedTuple):
    """Threads of a block, blocks after which more work goes to each, and the largest grid (x, y, z)."""

    threads: int
    blocks: int
    limit: tuple[int, int, int] = (1000, 1000, 1000)


# Many small blocks, in which every thread takes one bin; one block of an odd size for everything, in which threads
# take columns of bins; and something between, with a grid so small that every loop over blocks turns.
LAUNCHES = [Launch(16, 1000), Launch(7, 1), Launch(4, 6, (2, 1, 1))]


class _Sizes(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int) for name in ("images", "channels", "height", "width", "rois", "bins_y", "bins_x")),
        ("scale", ctypes.c_double),
    ]


class _Launch(ctypes.Structure):
    _fields_ = [("threads", ctypes.c_int), ("blocks", ctypes.c_int), ("limit", ctypes.c_int * 3)]


class Emulation:
    """The operators on tensors; outputs are full of NaN before, so that an element left out shows."""

    def __init__(self, library: Path) -> None:
        self.library = ctypes.CDLL(str(library))

    def _run(self, name: str, sizes: _Sizes, launch: Launch, *tensors: Tensor) -> None:
        dtype = str(tensors[0].dtype).removeprefix("torch.")
        assert all(tensor.is_contiguous() for tensor in tensors)
        settings = _Launch(launch.threads, launch.blocks, launch.limit)
        pointers = [ctypes.c_void_p(tensor.data_ptr()) for tensor in tensors]
        getattr(self.library, f"{name}_{dtype}")(ctypes.byref(sizes), ctypes.byref(settings), *pointers)

    def pool(self, launch: Launch, features: Tensor, rois: Tensor, bins: tuple[int, int], scale: float) -> Tensor:
        out = features.new_full((len(rois), features.shape[1], *bins), torch.nan)
        sizes = _Sizes(*features.shape, len(rois), *bins, scale)
        self._run("pool", sizes, launch, features, rois, out)
        return out

    def backward(
        self, launch: Launch, grad: Tensor, features: Tensor, rois: Tensor, scale: float
    ) -> tuple[Tensor, Tensor]:
        sizes = _Sizes(*features.shape, len(rois), *grad.shape[2:], scale)
        grad_features, grad_rois = torch.full_like(features, torch.nan), torch.full_like(rois, torch.nan)
        self._run("backward_features", sizes, launch, grad, rois, grad_features)
        self._run("backward_rois", sizes, launch, grad, features, rois, grad_rois)
        return grad_features, grad_rois


def _compiled(source: str, target: Path, *options: str) -> Path:
    """Compiles a file of the emulation; skips where there is no compiler for it, fails where ours is refused."""
    if shutil.which("g++") is None:
        pytest.skip("no g++ to compile the kernels for the host")
    probe = "#include <barrier>\nint main() { std::barrier<> one(1); one.arrive_and_wait(); }"
    command = ["g++", "-std=c++20", "-pthread", *options, "-x", "c++", "-", "-o", str(target)]
    if subprocess.run(command, input=probe, capture_output=True, text=True, check=False).returncode:
        pytest.skip(f"g++ has no C++20, or not {' '.join(options)}")
    command = [*COMPILE, *options, str(SOURCES / source), "-o", str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return target


@pytest.fixture(scope="module")
def emulation(tmp_path_factory: pytest.TempPathFactory) -> Emulation:
    folder = tmp_path_factory.mktemp("emulation")
    return Emulation(_compiled("library.cpp", folder / "kernels.so", "-O1", "-shared", "-fPIC"))


class Case(NamedTuple):
    """Rows of `rois` are in image units; the map is (images, channels, *map_size)."""

    images: int
    channels: int
    map_size: tuple[int, int]
    bins: tuple[int, int]
    scale: float
    rois: list[list[float]]


def _grid(count: int, size: float, images: int) -> list[list[float]]:
    """`count` x `count` boxes of one size, all over a map of 16 cells and beyond, the images taking turns."""
    starts = [-2.3 + 17.7 * k / max(count - 1, 1) for k in range(count)]
    corners = [(x, y) for y in starts for x in starts]
    return [[n % images, x, y, x + size, y + 0.8 * size] for n, (x, y) in enumerate(corners)]


CASES = {
    "ordinary": Case(1, 9, (9, 11), (5, 5), 0.5, [[0, 2.2, 1.3, 15.9, 14.4], [0, 6.1, 3.7, 9.3, 12.9]]),
    "images in any order": Case(4, 3, (6, 5), (3, 2), 1.0, [[3, 0.3, 1, 4, 5], [0, 1, 1, 3, 4], [3, -1, 0, 2.5, 9]]),
    "on whole cells": Case(1, 3, (8, 8), (3, 3), 1.0, [[0, 1, 2, 7, 5], [0, 0, 0, 3, 3], [0, 2, 2, 3, 3]]),
    "bins of many cells": Case(1, 2, (19, 23), (2, 1), 1.0, [[0, -3, 0.5, 21.5, 18], [0, 1.5, 1, 9.6, 17.2]]),
    "many bins in a cell": Case(2, 2, (5, 6), (9, 7), 0.25, [[1, 8.3, 8.1, 9.9, 10.2], [0, 11, 4, 18, 13]]),
    "more bins than a tile": Case(1, 2, (9, 9), (40, 35), 1.0, [[0, 0.5, 0.25, 7.75, 8.5], [0, 3, -2, 4, 11]]),
    "tiny": Case(1, 2, (6, 6), (3, 2), 1.0, [[0, 2.5, 2.5, 2.501, 2.502], [0, 2, 2, 2.01, 2.01]]),
    "huge": Case(1, 2, (6, 6), (3, 3), 1.0, [[0, -5e5, -5e5, 5e5, 5e5], [0, -1e6, 1, 7, 4]]),
    "outside": Case(1, 2, (6, 6), (2, 2), 1.0, [[0, -9, -9, -4, -4], [0, 9, 1, 12, 3], [0, 4, 4, 99, 99]]),
    "reversed and empty": Case(1, 2, (6, 6), (2, 2), 1.0, [[0, 4, 1, 2, 3], [0, 1, 3, 3, 2], [0, 2, 2, 2, 2]]),
    "more boxes than fit": Case(2, 2, (16, 16), (2, 3), 1.0, _grid(10, 5.5, 2)),
    "one row": Case(1, 5, (1, 33), (1, 4), 1.0, [[0, 3.3, -0.5, 28.8, 0.5]]),
}


def _tensors(case: Case, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """Features, boxes and a gradient of the output."""
    generator = torch.Generator().manual_seed(0)
    box_dtype = torch.float32 if dtype == torch.bfloat16 else dtype
    features = torch.randn(case.images, case.channels, *case.map_size, generator=generator, dtype=torch.float64)
    grad = torch.randn(len(case.rois), case.channels, *case.bins, generator=generator, dtype=torch.float64)
    rois = torch.tensor(case.rois, dtype=box_dtype).reshape(-1, 5)
    return features.to(dtype), rois, grad.to(dtype)


def _reference(features: Tensor, rois: Tensor, grad: Tensor, scale: float) -> tuple[Tensor, Tensor, Tensor]:
    """Output and gradients of the exact path in float64, for the same rounded inputs."""
    features, rois = features.double().requires_grad_(), rois.double().requires_grad_()
    out = pool_exact(features, rois, *grad.shape[2:], scale)
    return (out.detach(), *torch.autograd.grad(out, (features, rois), grad.double()))


def _assert_close(name: str, actual: Tensor, expected: Tensor, tolerance: float) -> None:
    scale = float(expected.abs().max()) or 1.0
    assert not actual.isnan().any(), f"{name}: elements were not written"
    error = float((actual.double() - expected).abs().max()) / scale if expected.numel() else 0.0
    assert error <= tolerance, f"{name}: wrong by {error:.2g} of the largest value"


@pytest.mark.parametrize("launch", LAUNCHES, ids=lambda launch: f"{launch.threads}-threads")
@pytest.mark.parametrize("dtype", TOLERANCE, ids=lambda dtype: str(dtype).removeprefix("torch."))
@pytest.mark.parametrize("name", CASES)
def test_same_as_the_exact_path(emulation: Emulation, name: str, dtype: torch.dtype, launch: Launch) -> None:
    case = CASES[name]
    features, rois, grad = _tensors(case, dtype)
    expected = _reference(features, rois, grad, case.scale)
    out = emulation.pool(launch, features, rois, case.bins, case.scale)
    results = (out, *emulation.backward(launch, grad, features, rois, case.scale))
    for what, actual, wanted in zip(NAMES, results, expected, strict=True):
        _assert_close(what, actual, wanted, TOLERANCE[dtype])


@pytest.mark.parametrize("size", [1e-6, 1e-3, 0.1, 10.0, 1e3, 1e6])
def test_boxes_of_any_size_are_right_to_rounding(emulation: Emulation, size: float) -> None:
    """In float32, although all but the edges of bins is computed in it: a third lies on or across whole cells."""
    generator = torch.Generator().manual_seed(3)
    corners = 16 * torch.rand(60, 2, generator=generator, dtype=torch.float64) - 2
    corners[::3] = corners[::3].round()
    corners[1::3] = corners[1::3].round() - 0.3 * size
    sizes = size * (0.5 + torch.rand(60, 2, generator=generator, dtype=torch.float64))
    rois = torch.cat([torch.zeros(60, 1), corners, corners + sizes], 1).tolist()
    features, boxes, grad = _tensors(Case(1, 3, (13, 12), (3, 2), 1.0, rois), torch.float32)
    out = emulation.pool(LAUNCHES[0], features, boxes, (3, 2), 1.0)
    results = (out, *emulation.backward(LAUNCHES[0], grad, features, boxes, 1.0))
    for what, actual, wanted in zip(NAMES, results, _reference(features, boxes, grad, 1.0), strict=True):
        _assert_close(what, actual, wanted, 1e-6)


def test_what_cannot_be_pooled_gives_nan_and_no_gradient(emulation: Emulation) -> None:
    nan, infinity = float("nan"), float("inf")
    good = [[0, 1.2, 0.7, 3.9, 4.1], [1, 0.5, 1.5, 4.5, 3.0]]
    bad = [[2, 1, 1, 3, 3], [-1, 1, 1, 3, 3], [0.5, 1, 1, 3, 3], [nan, 1, 1, 3, 3], [infinity, 1, 1, 3, 3]]
    bad += [[0, *(nan if k == n else float(k) for k in range(4))] for n in range(4)]
    bad += [[0, *(infinity if k == n else float(k) for k in range(4))] for n in range(4)]
    bad += [[0, -infinity, -infinity, infinity, infinity]]
    mixed = Case(2, 5, (6, 5), (3, 2), 1.0, [*bad[:4], good[0], *bad[4:], good[1]])
    features, rois, grad = _tensors(mixed, torch.float32)
    keep = torch.tensor([row in good for row in mixed.rois])
    expected = _reference(features, rois[keep], grad[keep], mixed.scale)
    for launch in LAUNCHES:
        out = emulation.pool(launch, features, rois, mixed.bins, mixed.scale)
        assert out[~keep].isnan().all()
        grad_features, grad_rois = emulation.backward(launch, grad, features, rois, mixed.scale)
        assert (grad_rois[~keep] == 0).all()
        for what, actual, wanted in zip(NAMES, (out[keep], grad_features, grad_rois[keep]), expected, strict=True):
            _assert_close(what, actual, wanted, 1e-6)


EMPTY = {
    "no boxes": Case(2, 3, (4, 5), (2, 2), 1.0, []),
    "no channels": Case(1, 0, (4, 5), (2, 2), 1.0, [[0, 1, 1, 3, 3]]),
    "no rows": Case(1, 3, (0, 5), (2, 2), 1.0, [[0, 1, 1, 3, 3]]),
}


@pytest.mark.parametrize("name", EMPTY)
def test_empty_sets(emulation: Emulation, name: str) -> None:
    case = EMPTY[name]
    features, rois, grad = _tensors(case, torch.float32)
    out = emulation.pool(LAUNCHES[0], features, rois, case.bins, case.scale)
    assert out.shape == grad.shape and (out == 0).all()
    grad_features, grad_rois = emulation.backward(LAUNCHES[0], grad, features, rois, case.scale)
    assert (grad_features == 0).all() and (grad_rois == 0).all()


def test_boxes_on_no_image_at_all(emulation: Emulation) -> None:
    features, rois = torch.zeros(0, 2, 4, 5), torch.tensor([[0.0, 1, 1, 3, 3]])
    assert emulation.pool(LAUNCHES[0], features, rois, (2, 2), 1.0).isnan().all()
    assert (emulation.backward(LAUNCHES[0], torch.ones(1, 2, 2, 2), features, rois, 1.0)[1] == 0).all()


@pytest.mark.parametrize("name", ["ordinary", "more boxes than fit"])
def test_the_size_of_the_grid_changes_no_bit(emulation: Emulation, name: str) -> None:
    """Which block does the work, and after which other, must not matter: that is what makes runs alike on a GPU."""
    case = CASES[name]
    features, rois, grad = _tensors(case, torch.float32)

    def results(limit: tuple[int, int, int]) -> tuple[Tensor, ...]:
        launch = Launch(8, 20, limit)
        out = emulation.pool(launch, features, rois, case.bins, case.scale)
        return (out, *emulation.backward(launch, grad, features, rois, case.scale))

    wide = results((1000, 1000, 1000))
    for other in (results((1, 1, 1)), results((3, 2, 1)), results((1000, 1000, 1000))):
        assert all(torch.equal(a, b) for a, b in zip(wide, other, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("sanitizer", ["address,undefined", "thread"])
def test_sanitizers_find_nothing(tmp_path: Path, sanitizer: str) -> None:
    """Nothing out of bounds, no overflow, and no two threads at one element without a barrier between them."""
    options = ("-g", "-O1", f"-fsanitize={sanitizer}", "-fno-sanitize-recover=all")
    program = _compiled("sanitize.cpp", tmp_path / "sanitize", *options)
    done = subprocess.run([program], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stdout == "done\n", done.stderr
