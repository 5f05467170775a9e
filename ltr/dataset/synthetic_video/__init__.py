"""Videos of procedural objects before procedural backgrounds: no files are needed."""

from __future__ import annotations

from ltr.dataset.synthetic_video.dataset import SyntheticVideo, open_split

__all__ = ["SyntheticVideo", "open_split"]
