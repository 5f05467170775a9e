"""Finding the net of a DiMP tracker."""

from __future__ import annotations

from ltr.models.tracking.dimp import BUILDERS, DiMPNet
from pytracking.components.nets import load_tracking_net


def load_dimp(weights: str) -> DiMPNet:
    """The net of a file; see :func:`pytracking.components.nets.load_tracking_net`."""
    return load_tracking_net(weights, DiMPNet, "dimp", builders=BUILDERS, official=("dimp18", "dimp50"))
