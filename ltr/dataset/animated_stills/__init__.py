"""Photos animated into annotated videos."""

from __future__ import annotations

from ltr.dataset.animated_stills.dataset import AnimatedStills, open_split

__all__ = ["AnimatedStills", "open_split"]
