"""SiamFC, the first row of EDCF's Table 1: the semantic branch alone, no update."""

from __future__ import annotations

from dataclasses import replace

from pytracking.parameter.edcf import paper
from pytracking.tracker.edcf.params import EDCFParams


def parameters() -> EDCFParams:
    """Semantic branch alone."""
    return replace(paper.parameters(), weights="edcf_siamfc", use_filter=False)
