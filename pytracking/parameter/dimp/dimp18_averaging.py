"""The second row of DiMP's Table 3: filters of single frames, averaged. The paper does not say with which share."""

from __future__ import annotations

from dataclasses import replace

from pytracking.parameter.dimp import dimp18
from pytracking.tracker.dimp.params import DiMPParams


def parameters() -> DiMPParams:
    """Model averaging."""
    return replace(dimp18.parameters(), update="averaging")
