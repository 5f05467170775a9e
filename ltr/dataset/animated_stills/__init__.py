"""Photos animated into annotated videos."""

from __future__ import annotations

from ltr.dataset.animated_stills.dataset import AnimatedStills

__all__ = ["AnimatedStills"]
