"""The first row of DiMP's Table 3: the filter of the first frame serves for the whole sequence."""

from __future__ import annotations

from dataclasses import replace

from pytracking.parameter.dimp import dimp18
from pytracking.tracker.dimp.params import DiMPParams


def parameters() -> DiMPParams:
    """No online update."""
    return replace(dimp18.parameters(), update="none")
