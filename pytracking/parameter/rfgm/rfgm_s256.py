"""RFGM on a ViT-S, with the paper's values."""

from __future__ import annotations

from dataclasses import replace

from pytracking.parameter.rfgm import rfgm_b256
from pytracking.tracker.rfgm.params import RFGMParams


def parameters() -> RFGMParams:
    """384 channels, 6 heads."""
    return replace(rfgm_b256.parameters(), weights="rfgm_s256")
