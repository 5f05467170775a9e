"""Finding the net of a DCFST tracker."""

from __future__ import annotations

from ltr.models.tracking.dcfst import BUILDERS, DCFSTNet
from pytracking.components.nets import load_tracking_net


def load_dcfst(weights: str) -> DCFSTNet:
    """The net of a file; see :func:`pytracking.components.nets.load_tracking_net`."""
    return load_tracking_net(weights, DCFSTNet, "dcfst", builders=BUILDERS, official=("dcfst18", "dcfst50"))
