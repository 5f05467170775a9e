"""DCFST-18 by the letter of the paper, where the official training differs from it."""

from __future__ import annotations

from dataclasses import replace

from ltr.train_settings.dcfst import dcfst18
from ltr.train_settings.dcfst.base import DCFSTTrainSettings, build

__all__ = ["build", "settings"]


def settings() -> DCFSTTrainSettings:
    """Eq. 4 of the ECCV version, one rate, 1,500 batches an epoch, a backbone that is frozen with its statistics.

    The paper does not say over what Eq. 4 is averaged; here over the pairs, and summed over the proposals.
    """
    official = dcfst18.settings()
    return replace(
        official,
        data=replace(official.data, samples_per_epoch=72_000),
        loss=replace(official.loss, kind="shrinkage_eccv"),
        optim=replace(official.optim, box_lr=5e-3, fixed_statistics=True),
    )
