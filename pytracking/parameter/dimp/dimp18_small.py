"""The shipped net: half of DiMP-18's channels, tracked with the crops that it was trained on."""

from __future__ import annotations

from dataclasses import replace

from pytracking.parameter.dimp import dimp18
from pytracking.tracker.dimp.params import DiMPParams


def parameters() -> DiMPParams:
    """Crops of 192 pixels and 3.5 target sides, in which a target has the same size in pixels as in DiMP's own."""
    return replace(dimp18.parameters(), weights="dimp18_small", image_sample_size=192, search_area_scale=3.5)
