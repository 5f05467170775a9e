"""EDCF as Section 4.1 of the paper describes it: three scales through the whole encoder, update in every frame."""

from __future__ import annotations

from pytracking.tracker.edcf.params import EDCFParams


def parameters() -> EDCFParams:
    """The paper's values.

    Eq. 16 adds both responses and says nothing of their ranges: the logits of f reach several units, where g stays
    below one. A logistic function and a small weight bring f to a comparable range.
    """
    return EDCFParams(semantic_score="sigmoid", semantic_weight=0.1)
