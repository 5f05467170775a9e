"""EDCF in one encoder pass per frame, with the semantic branch as adviser.

The semantic branch sees the middle scale only, and the filter's features for the other scales and for the update are
resampled from the same map; the context patches are looked at in every third frame. A third of `paper`'s work in the
encoder, and less for the update.

The responses are brought to a comparable scale, with a small weight for the semantic one: the shipped weights learned
from 26,000 pairs of animated photos, which made a good filter branch and a weaker semantic one. It settles the choice
between two peaks of the filter; its maximum is too unsteady to govern the update, which keeps a fixed rate. Thin
targets get room to move in, and peaks are found between cells. docs/performance.md has the figures.
"""

from __future__ import annotations

from dataclasses import replace

from pytracking.parameter.edcf import paper
from pytracking.tracker.edcf.params import EDCFParams


def parameters() -> EDCFParams:
    """One encoder pass per frame."""
    return replace(
        paper.parameters(),
        feature_pyramid=True,
        context_interval=3,
        region="additive",
        subcell=True,
        learning_rate=0.01,
        semantic_score="sigmoid",
        semantic_weight=0.2,
        adaptive_update=False,
    )
