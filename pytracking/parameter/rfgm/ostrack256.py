"""OSTrack-256 (Ye et al., ECCV 2022) without candidate elimination: RFGM's baseline."""

from __future__ import annotations

from pytracking.tracker.rfgm.params import RFGMParams


def parameters() -> RFGMParams:
    """One template, no relevance attention; reads the official checkpoint as it is."""
    return RFGMParams(weights="ostrack256", builder="rfgm_ostrack256", memory="one_template")
