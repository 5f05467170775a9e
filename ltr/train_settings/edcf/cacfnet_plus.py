"""CACFNet+ (EDCF's Table 1) is trained exactly as EDCF is; it differs in tracking, with the filter alone."""

from __future__ import annotations

from ltr.train_settings.edcf.edcf import build, settings

__all__ = ["build", "settings"]
