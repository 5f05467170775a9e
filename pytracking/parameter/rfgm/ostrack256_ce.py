"""OSTrack-256 (Ye et al., ECCV 2022) with candidate elimination, as its files ``vitb_256_mae_ce_*`` were trained."""

from __future__ import annotations

from dataclasses import replace

from pytracking.parameter.rfgm import ostrack256
from pytracking.tracker.rfgm.params import RFGMParams


def parameters() -> RFGMParams:
    """As ``ostrack256``; three blocks leave 0.7 of the search tokens each."""
    return replace(ostrack256.parameters(), weights="ostrack256_ce", builder="rfgm_ostrack256_ce")
