"""EDCF as Section 4.1 of the paper describes it: three scales through the whole encoder, update in every frame."""

from __future__ import annotations

from pytracking.tracker.edcf.params import EDCFParams


def parameters() -> EDCFParams:
    """The paper's values; Eq. 16 is the plain sum of both responses."""
    return EDCFParams()
