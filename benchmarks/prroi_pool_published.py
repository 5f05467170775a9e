"""The published design of the CUDA operator, for `prroi_pool.py` to compare with: built when it is asked for.

One thread per output computes the geometry of its bin for itself, and gradients are added up with atomics. The
kernels in `csrc/one_thread_per_output.cu` were written for this comparison; float32 only.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

SOURCE = Path(__file__).parent / "csrc" / "one_thread_per_output.cu"
Pool = Callable[[Tensor, Tensor, int, int, float], Tensor]


def build(folder: Path, architecture: str) -> Path:
    """Compiles the kernels.

    Args:
        folder: where the library is written.
        architecture: the GPU's, such as `sm_90`.

    Raises:
        RuntimeError: there is no nvcc, or it did not compile them; with what it said.
    """
    home = os.environ.get("CUDA_HOME")
    nvcc = str(Path(home, "bin", "nvcc")) if home else shutil.which("nvcc")
    if nvcc is None:
        raise RuntimeError("no nvcc for the published design: set CUDA_HOME to the CUDA toolkit")
    root, target = Path(torch.__file__).parent, folder / "one_thread_per_output.so"
    command = [nvcc, "-shared", "-std=c++17", "-O3", f"-arch={architecture}", "-Xcompiler=-fPIC,-Wall,-Wextra"]
    command += ["-DTORCH_TARGET_VERSION=0x020a000000000000", "-isystem", str(root / "include"), str(SOURCE)]
    command += [f"-L{root / 'lib'}", "-ltorch_cpu", "-ltorch_cuda", "-o", str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the published design was not compiled:\n{done.stdout}{done.stderr}")
    return target


def load(folder: Path) -> Pool:
    """Builds the kernels for the current GPU and loads them, once in a process.

    Returns:
        ``pool(features, rois, bins_y, bins_x, scale)``, differentiable in contiguous float32 features and boxes. No
        argument is checked.

    Raises:
        RuntimeError: see :func:`build`.
    """
    major, minor = torch.cuda.get_device_capability()
    torch.ops.load_library(str(build(folder, f"sm_{major}{minor}")))
    return _Published.apply


class _Published(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, rois: Tensor, bins_y: int, bins_x: int, scale: float) -> Tensor:
        pooled = torch.ops.prroi_pool_published.forward(features, rois, bins_y, bins_x, scale)
        ctx.save_for_backward(features, rois, pooled)
        ctx.scale = scale
        return pooled

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        features, rois, pooled = ctx.saved_tensors
        operators, grad = torch.ops.prroi_pool_published, grad.contiguous()
        images, _, height, width = features.shape
        grad_features = grad_rois = None
        if ctx.needs_input_grad[0]:
            grad_features = operators.backward_features(grad, rois, images, height, width, ctx.scale)
        if ctx.needs_input_grad[1]:
            grad_rois = operators.backward_rois(grad, features, rois, pooled, ctx.scale)
        return grad_features, grad_rois, None, None, None
