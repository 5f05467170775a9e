"""ImageNet VID by its real layout."""

from __future__ import annotations

from ltr.dataset.imagenet_vid.dataset import ImageNetVID, open_split

__all__ = ["ImageNetVID", "open_split"]
