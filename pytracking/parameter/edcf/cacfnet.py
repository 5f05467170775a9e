"""CACFNet (Table 1): the context-aware filter alone, trained alone."""

from __future__ import annotations

from dataclasses import replace

from pytracking.parameter.edcf import paper
from pytracking.tracker.edcf.params import EDCFParams


def parameters() -> EDCFParams:
    """Filter branch alone."""
    return replace(paper.parameters(), weights="edcf_cacfnet", use_semantic=False)
