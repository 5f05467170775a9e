"""What serves users best: one encoder pass per frame, room for thin targets, peaks between cells.

Chosen with the shipped weights on real sequences; docs/performance.md has the figures beside the paper's form.
"""

from __future__ import annotations

from dataclasses import replace

from pytracking.parameter.edcf import fast
from pytracking.tracker.edcf.params import EDCFParams


def parameters() -> EDCFParams:
    """`fast` with the choices above."""
    return replace(
        fast.parameters(),
        context_interval=3,
        region="additive",
        subcell=True,
        learning_rate=0.01,
        semantic_score="sigmoid",
        semantic_weight=0.3,
    )
