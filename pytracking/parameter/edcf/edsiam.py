"""EDSiam (Table 1): the semantic branch, trained with the reconstruction loss."""

from __future__ import annotations

from dataclasses import replace

from pytracking.parameter.edcf import paper
from pytracking.tracker.edcf.params import EDCFParams


def parameters() -> EDCFParams:
    """Semantic branch alone."""
    return replace(paper.parameters(), weights="edcf_edsiam", use_filter=False)
