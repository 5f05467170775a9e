"""RFGM-B256 with the paper's values."""

from __future__ import annotations

from pytracking.tracker.rfgm.params import RFGMParams


def parameters() -> RFGMParams:
    """ViT-B; GR memory of 192 tokens."""
    return RFGMParams(weights="rfgm_b256")
