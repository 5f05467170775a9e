"""TrackingNet by its real layout."""

from __future__ import annotations

from ltr.dataset.trackingnet.dataset import TrackingNet, open_split

__all__ = ["TrackingNet", "open_split"]
