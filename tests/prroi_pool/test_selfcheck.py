"""`python -m prroi_pool`: what it finds, how it ends, and that its report can be read."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from prroi_pool import compiled, report, selfcheck
from prroi_pool.__main__ import main
from prroi_pool.functional import prroi_pool2d

Status = compiled.BackendStatus


def only(*available: str) -> list[compiled.BackendStatus]:
    names = ("exact", "cpu", "cuda")
    return [Status(name, name in available, "" if name in available else f"no {name}") for name in names]


@pytest.fixture
def no_operators(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "status", lambda: only("exact"))


def operator_that(monkeypatch: pytest.MonkeyPatch, change: Callable[[Tensor], Tensor]) -> None:
    """Puts an operator for the CPU in place that is the exact path with its result changed."""

    def pool(*arguments: object, backend: str) -> Tensor:
        pooled = prroi_pool2d(*arguments, backend="exact")
        return change(pooled) if backend == "compiled" else pooled

    monkeypatch.setattr(compiled, "status", lambda: only("exact", "cpu"))
    monkeypatch.setattr(selfcheck, "prroi_pool2d", pool)


def test_without_operators_the_exact_path_is_checked(no_operators: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--rounds", "0"]) == 0
    text = capsys.readouterr().out
    assert "no cpu" in text and "no cuda" in text
    assert "build_ext --inplace" in text
    assert " ok" in text and "WRONG" not in text


def test_exact_path_and_operators_pass_here() -> None:
    checks = selfcheck.check_all()
    assert {check.backend for check in checks} >= {"exact"}
    assert [check for check in checks if not check.passed] == []


@pytest.mark.parametrize(
    "change",
    [
        lambda pooled: pooled * 1.001,
        lambda pooled: pooled * float("nan"),
        lambda pooled: torch.where(pooled == pooled.max(), 0.0, pooled),
        lambda pooled: pooled.detach() + 0.999 * (pooled - pooled.detach()),  # right values, wrong gradients
    ],
    ids=["scale", "nan", "one value", "gradients"],
)
def test_wrong_operator_is_found(
    change: Callable[[Tensor], Tensor],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    operator_that(monkeypatch, change)
    assert main(["--rounds", "0", "--json", str(tmp_path / "report.json")]) == 1
    assert "WRONG" in capsys.readouterr().out
    found = json.loads((tmp_path / "report.json").read_text())
    verdicts = {(check["backend"], check["dtype"]): check["passed"] for check in found["checks"]}
    assert verdicts == {("exact", "float32"): True, ("cpu", "float64"): False, ("cpu", "float32"): False}
    assert found["passed"] is False


def test_operator_that_fails_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(pooled: Tensor) -> Tensor:
        raise RuntimeError("no kernel image is available\nCompile with ...")

    operator_that(monkeypatch, fail)
    assert main(["--rounds", "0"]) == 1
    assert "no kernel image is available" in capsys.readouterr().out


def test_operator_that_is_right_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    operator_that(monkeypatch, lambda pooled: pooled)
    assert all(check.passed for check in selfcheck.check_all())


@pytest.mark.parametrize("grid", [False, True])
def test_timing_has_every_way_to_pool(grid: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    operator_that(monkeypatch, lambda pooled: pooled)
    timing = selfcheck.time_case(selfcheck.Case("tiny", 9, 2, 6, 2, grid=grid), "cpu", rounds=2)
    assert set(timing.ms) == {"exact", "compiled", *(["grid"] if grid else [])}
    assert all(0 < ms < math.inf for ms in timing.ms.values())


def test_boxes_on_a_grid_are_those_of_the_grid_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """The times of the two paths may be compared only if they pool the same boxes."""
    seen, backends = [], []
    for name in ("prroi_pool2d", "prroi_pool_grid"):
        real = getattr(selfcheck, name)

        def spy(*arguments: object, real: Callable = real, **options: object) -> Tensor:
            seen.append(real(*arguments, **options))
            backends.append(options["backend"])
            return seen[-1]

        monkeypatch.setattr(selfcheck, name, spy)
    monkeypatch.setattr(compiled, "status", lambda: only("exact"))
    selfcheck.time_case(selfcheck.Case("tiny", 9, 2, 12, 2, grid=True), "cpu", rounds=1)
    per_box, on_grid = seen[:2]
    torch.testing.assert_close(on_grid.reshape(per_box.shape), per_box, rtol=1e-4, atol=1e-5)
    assert set(backends) == {"exact"}  # the compiled operators have a column of their own


def test_report_fits_a_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also with everything there and a GPU."""
    monkeypatch.setattr(compiled, "status", lambda: only("exact", "cpu"))
    names = ("float64", "float32", "float16", "bfloat16")
    kinds = [(backend, "cuda", dtype) for backend in ("exact", "cuda") for dtype in names]
    kinds += [(backend, "cpu", dtype) for backend in ("exact", "cpu") for dtype in names[:2]]
    checks = [selfcheck.Check(*kind, (1e-7,) * 3, 1e-6) for kind in kinds]
    ms = {"exact": 12345.678, "compiled": 1234.567, "grid": 123.456}
    timings = [selfcheck.Timing(case, device, ms) for device in ("cpu", "cuda") for case in selfcheck.CASES]
    lines = report.as_text(checks, timings).splitlines()
    assert len(lines) <= 32
    assert max(map(len, lines)) <= 120
    assert sum("(10.0x)" in line and "(100.0x)" in line for line in lines) == 8


def test_command_to_build_depends_on_where_the_package_lies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert "setup.py build_ext --inplace" in report.how_to_build()
    monkeypatch.setattr(report, "__file__", str(tmp_path / "site-packages" / "prroi_pool" / "report.py"))
    assert "pip install --no-build-isolation" in report.how_to_build()


def test_operator_without_a_gpu_is_not_called_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "status", lambda: only("exact", "cpu", "cuda"))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert "there, not checked: no GPU here" in report.as_text([], [])


def test_command_runs_from_anywhere(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "prroi_pool"]
    done = subprocess.run([*command, "--help"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "example: python -m prroi_pool" in done.stdout


def test_wrong_usage_and_a_file_that_cannot_be_written(
    no_operators: None, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--threads", "0"])
    assert end.value.code == 2
    assert main(["--rounds", "0", "--json", str(tmp_path / "missing" / "report.json")]) == 1
    assert f"cannot write {tmp_path}" in capsys.readouterr().err
