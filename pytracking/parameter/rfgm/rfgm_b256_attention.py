"""The first row of RFGM's Table 5: plain attention over the GR memory."""

from __future__ import annotations

from dataclasses import replace

from pytracking.parameter.rfgm import rfgm_b256
from pytracking.tracker.rfgm.params import RFGMParams


def parameters() -> RFGMParams:
    """No block drops tokens; the memory is filtered as ever."""
    return replace(rfgm_b256.parameters(), keep_ratios=(1, 1, 1))
