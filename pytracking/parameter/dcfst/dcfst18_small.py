"""The shipped net, half of DCFST-18's channels and 441 proposals, tracked as DCFST-18 is."""

from __future__ import annotations

from dataclasses import replace

from pytracking.parameter.dcfst import dcfst18
from pytracking.tracker.dcfst.params import DCFSTParams


def parameters() -> DCFSTParams:
    """The values for OTB2015 with other weights."""
    return replace(dcfst18.parameters(), weights="dcfst18_small", regularization=None)
