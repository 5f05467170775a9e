"""The report of ``python -m prroi_pool``, as text and as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from math import isfinite
from pathlib import Path
from typing import Any

import torch

from prroi_pool import compiled
from prroi_pool.selfcheck import Check, Timing, devices


def as_text(checks: Sequence[Check], timings: Sequence[Timing]) -> str:
    """The report for a reader; it fits a screen."""
    lines = [f"torch {torch.__version__}, threads: {torch.get_num_threads()}", *_backends(), ""]
    lines.append(f"{'largest error, as a share':<30}{'pooled':>10}{'features':>10}{'boxes':>10}")
    for check in checks:
        errors = "".join(f"{error:>10.1e}" for error in check.errors)
        verdict = check.problem or f"{errors}  {'ok' if check.passed else 'WRONG'}"
        lines.append(f"  {check.backend:<6} on {check.device:<5} {check.dtype:<12}" + verdict)
    if timings:
        title = "forward and backward, ms"
        lines += ["", f"{title:<44}{'exact':>8}{'compiled':>17}{'grid':>17}"]
    for timing in timings:
        case = timing.case
        sizes = f"{case.net:<8}{case.rois:>3} x {case.channels}x{case.side}x{case.side} to {case.bins}x{case.bins}"
        cells = "".join(f"{_cell(timing, name):>17}" for name in ("compiled", "grid"))
        lines.append(f"  {timing.device:<5} {sizes:<36}{timing.ms['exact']:>8.2f}{cells}")
    return "\n".join(lines) + "\n"


def _cell(timing: Timing, name: str) -> str:
    if name not in timing.ms:
        return "-"
    return f"{timing.ms[name]:.2f} {'(' + format(timing.ms['exact'] / timing.ms[name], '.1f') + 'x)':>8}"


def _backends() -> list[str]:
    lines = []
    statuses = compiled.status()
    for status in statuses:
        state = "there" if status.available else status.reason
        if status.available and status.name == "cuda" and "cuda" not in devices():
            state = "there, not checked: no GPU here"
        lines.append(f"  {status.name:<6} {state}")
    if not all(status.available for status in statuses):
        lines.append(f"  To build what is missing, or to be told what that needs: {how_to_build()}")
    return lines


def how_to_build() -> str:
    """The command that builds the missing operators, from where this package lies."""
    root = Path(__file__).resolve().parents[2]
    if (root / "setup.py").is_file():
        return f"cd {root} && {compiled.BUILD_COMMAND}"
    return "pip install --no-build-isolation . in the sources"


def as_dict(checks: Sequence[Check], timings: Sequence[Timing]) -> dict[str, Any]:
    """The report as plain values, for JSON."""
    return {
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "backends": [asdict(status) for status in compiled.status()],
        "checks": [
            {
                **asdict(check),
                "errors": [error if isfinite(error) else None for error in check.errors],  # JSON has no NaN
                "passed": check.passed,
            }
            for check in checks
        ],
        "timings": [asdict(timing) for timing in timings],
        "passed": all(check.passed for check in checks),
    }
