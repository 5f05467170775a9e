"""The published design, which the pooling is compared with, has to be built and right before it is timed."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from prroi_pool.exact import pool_exact


@pytest.fixture
def published(repository: Path) -> ModuleType:
    path = repository / "benchmarks" / "prroi_pool_published.py"
    spec = importlib.util.spec_from_file_location("prroi_pool_published", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_compiles_and_registers(published: ModuleType, tmp_path: Path) -> None:
    if not (shutil.which("nvcc") or os.environ.get("CUDA_HOME")) or torch.version.cuda is None:
        pytest.skip("needs nvcc and a CUDA build of torch")
    load = f"import torch; torch.ops.load_library({str(published.build(tmp_path, 'sm_90'))!r})"
    code = f"{load}; torch.ops.prroi_pool_published.backward_rois.default"
    subprocess.run([sys.executable, "-c", code], check=True)  # in a process of its own: a process can load it once


def test_says_what_is_missing(published: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_HOME", raising=False)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(RuntimeError, match="set CUDA_HOME"):
        published.build(tmp_path, "sm_90")


@pytest.mark.gpu
def test_is_right(published: ModuleType, tmp_path: Path) -> None:
    pool = published.load(tmp_path)
    generator = torch.Generator().manual_seed(0)
    corners, sizes = torch.rand(10, 2, generator=generator) * 250 - 20, 20 + torch.rand(10, 2, generator=generator) * 80
    rois = torch.cat([torch.zeros(10, 1), corners, corners + sizes], 1)
    features, grad = torch.randn(1, 8, 36, 36, generator=generator), torch.randn(10, 8, 5, 5, generator=generator)
    on_gpu = [tensor.cuda().requires_grad_() for tensor in (features, rois)]
    out = pool(*on_gpu, 5, 5, 1 / 8)
    found = (out, *torch.autograd.grad(out, on_gpu, grad.cuda()))
    on_cpu = [tensor.double().requires_grad_() for tensor in (features, rois)]
    out = pool_exact(*on_cpu, 5, 5, 1 / 8)
    for actual, expected in zip(found, (out, *torch.autograd.grad(out, on_cpu, grad.double())), strict=True):
        assert float((actual.cpu() - expected).abs().max()) < 2e-5 * float(expected.abs().max())
