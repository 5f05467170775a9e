"""Any folder of annotated sequences."""

from __future__ import annotations

from ltr.dataset.folder.dataset import FolderVideos, open_split

__all__ = ["FolderVideos", "open_split"]
