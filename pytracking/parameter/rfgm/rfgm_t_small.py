"""A small RFGM that a CPU can train."""

from __future__ import annotations

from dataclasses import replace

from pytracking.parameter.rfgm import rfgm_b256
from pytracking.tracker.rfgm.params import RFGMParams


def parameters() -> RFGMParams:
    """The crops are those of the net, as large as in `rfgm_b256` in target sides."""
    return replace(rfgm_b256.parameters(), weights="rfgm_t_small")
