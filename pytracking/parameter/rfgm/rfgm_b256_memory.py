"""The second row of RFGM's Table 4: whole templates in a fixed interval. The paper does not say which."""

from __future__ import annotations

from dataclasses import replace

from pytracking.parameter.rfgm import rfgm_b256
from pytracking.tracker.rfgm.params import RFGMParams


def parameters() -> RFGMParams:
    """Every fifth frame a new template takes the place of the oldest but for the first (Eq. 2)."""
    return replace(rfgm_b256.parameters(), memory="memory", longest_update_interval=5)
