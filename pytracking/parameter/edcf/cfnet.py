"""A tracker like CFNet (Table 1): a plain correlation filter on second-layer features."""

from __future__ import annotations

from dataclasses import replace

from pytracking.parameter.edcf import paper
from pytracking.tracker.edcf.params import EDCFParams


def parameters() -> EDCFParams:
    """No context patches, no semantic branch."""
    return replace(paper.parameters(), weights="edcf_cfnet", use_semantic=False, lambda2=0.0)
