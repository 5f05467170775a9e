"""CACFNet+ (Table 1): EDCF's multi-task training, tracking with the filter alone."""

from __future__ import annotations

from dataclasses import replace

from pytracking.parameter.edcf import paper
from pytracking.tracker.edcf.params import EDCFParams


def parameters() -> EDCFParams:
    """Filter branch of EDCF's weights."""
    return replace(paper.parameters(), use_semantic=False)
