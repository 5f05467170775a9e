"""Where operators are missing or cannot be loaded: everything works without them, and the reason is told."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

import prroi_pool
from prroi_pool import compiled, prroi_pool2d

FEATURES, ROIS = torch.ones(1, 2, 4, 5), torch.tensor([[0, 1.0, 1, 3, 3]])

# Imports a copy of the package, and pools. A module that is None is not found, wherever else there may be one.
PROGRAM = """
import sys, torch
sys.modules.update(dict.fromkeys(sys.argv[1:]))
from prroi_pool import compiled, prroi_pool2d
assert prroi_pool2d(torch.ones(1, 2, 4, 5), torch.tensor([[0, 1.0, 1, 3, 3]]), 2, 2).eq(1).all()
for status in compiled.status():
    print(f"{status.name}|{status.available}|{status.reason}")
"""


def import_copy(folder: Path, **modules: str) -> list[list[str]]:
    """The status of each back end in a copy of the package with these modules for extensions."""
    package = folder / "prroi_pool"
    package.mkdir()
    for source in Path(prroi_pool.__file__).parent.glob("*.py"):
        (package / source.name).write_bytes(source.read_bytes())
    for name, text in modules.items():
        (package / f"{name}.py").write_text(text)
    missing = [f"prroi_pool.{name}" for name in ("_C", "_C_cuda") if name not in modules]
    command = [sys.executable, "-c", PROGRAM, *missing]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    return [line.split("|") for line in result.stdout.splitlines()]


def test_nothing_is_built(tmp_path: Path) -> None:
    assert import_copy(tmp_path) == [
        ["exact", "True", ""],
        ["cpu", "False", "prroi_pool._C is not built"],
        ["cuda", "False", "prroi_pool._C is not built"],
    ]


@pytest.mark.parametrize("error", ["ImportError", "OSError"])
def test_built_for_another_torch(error: str, tmp_path: Path) -> None:
    """An undefined symbol or a library that is not there; and without the schema no CUDA kernels either."""
    exact, cpu, cuda = import_copy(tmp_path, _C=f"raise {error}('undefined symbol: of_another_torch')", _C_cuda="")
    assert exact == ["exact", "True", ""]
    for name, available, reason in (cpu, cuda):
        assert available == "False", name
        assert "built for another torch" in reason
        assert "undefined symbol: of_another_torch" in reason


def test_devices_without_an_operator() -> None:
    assert not compiled.serves(FEATURES.to("meta"))
    with pytest.raises(RuntimeError, match='has no operator for meta: use backend="exact"'):
        prroi_pool2d(FEATURES.to("meta"), ROIS.to("meta"), 2, 2, backend="compiled", check_values=False)


def test_forward_mode_cannot_be_forced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(compiled._MISSING, "cpu", "")

    def pool(rois: torch.Tensor) -> torch.Tensor:
        return prroi_pool2d(FEATURES, rois, 2, 2, backend="compiled")

    with pytest.raises(RuntimeError, match='does not work with forward-mode differentiation: use backend="auto"'):
        torch.func.jvp(pool, (ROIS,), (ROIS,))
