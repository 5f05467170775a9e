"""What serves users best with the shipped weights: the filter branch, one encoder pass per frame.

This is the paper's CACFNet+ (multi-task training, tracking with the filter) in its fast form. 26,000 pairs of animated
photos made a good filter branch and a weak semantic one: on real sequences the fused forms lose targets that the filter
alone keeps (docs/performance.md). With weights trained on video use `fast` or `paper`.
"""

from __future__ import annotations

from dataclasses import replace

from pytracking.parameter.edcf import fast
from pytracking.tracker.edcf.params import EDCFParams


def parameters() -> EDCFParams:
    """The filter alone, with room for thin targets and peaks between cells."""
    return replace(
        fast.parameters(),
        use_semantic=False,
        context_interval=3,
        region="additive",
        subcell=True,
        learning_rate=0.01,
    )
