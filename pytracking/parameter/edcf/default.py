"""What serves users best: on real sequences `fast` is both the faster and the better form (docs/performance.md)."""

from __future__ import annotations

from pytracking.parameter.edcf.fast import parameters

__all__ = ["parameters"]
