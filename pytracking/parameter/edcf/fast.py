"""EDCF with one pass of the encoder per frame.

The semantic branch sees the middle scale only, and the filter's features for the other scales and for the update are
resampled from the same map; the context patches are looked at every fifth frame. A third of `paper`'s work in the
encoder, and less for the update.
"""

from __future__ import annotations

from dataclasses import replace

from pytracking.parameter.edcf import paper
from pytracking.tracker.edcf.params import EDCFParams


def parameters() -> EDCFParams:
    """One encoder pass per frame."""
    return replace(paper.parameters(), feature_pyramid=True, context_interval=5)
