"""The first row of RFGM's Table 4, and 64 tokens in Table 6."""

from __future__ import annotations

from dataclasses import replace

from pytracking.parameter.rfgm import rfgm_b256
from pytracking.tracker.rfgm.params import RFGMParams


def parameters() -> RFGMParams:
    """The first frame's template alone."""
    return replace(rfgm_b256.parameters(), memory="one_template")
