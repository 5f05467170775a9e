"""The third row of RFGM's Table 4: whole templates, chosen by their score. The paper does not say how."""

from __future__ import annotations

from dataclasses import replace

from pytracking.parameter.rfgm import rfgm_b256
from pytracking.tracker.rfgm.params import RFGMParams


def parameters() -> RFGMParams:
    """A new template takes the place of the one with the lowest score but for the first, if its own is higher."""
    return replace(rfgm_b256.parameters(), memory="score_memory")
