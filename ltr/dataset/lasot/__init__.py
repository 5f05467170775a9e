"""LaSOT by its real layout."""

from __future__ import annotations

from ltr.dataset.lasot.dataset import LaSOT, open_split

__all__ = ["LaSOT", "open_split"]
