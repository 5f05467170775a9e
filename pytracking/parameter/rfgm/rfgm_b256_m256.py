"""256 tokens in RFGM's Table 6."""

from __future__ import annotations

from dataclasses import replace

from pytracking.parameter.rfgm import rfgm_b256
from pytracking.tracker.rfgm.params import RFGMParams


def parameters() -> RFGMParams:
    """A memory of four templates."""
    return replace(rfgm_b256.parameters(), memory_templates=4)
