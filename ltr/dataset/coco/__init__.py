"""The photos of COCO as sequences of one frame."""

from __future__ import annotations

from ltr.dataset.coco.dataset import COCO, open_split

__all__ = ["COCO", "open_split"]
