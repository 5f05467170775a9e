"""ImageNet VID by its real layout."""

from __future__ import annotations

from ltr.dataset.imagenet_vid.dataset import ImageNetVID

__all__ = ["ImageNetVID"]
