"""A DCFST an eighth as wide on procedural videos: minutes on a CPU, no files needed. For tests and first steps."""

from __future__ import annotations

from ltr.data.processing.dcfst import DCFSTSampling
from ltr.train_settings.dcfst.base import (
    DataSettings,
    DCFSTTrainSettings,
    NetSettings,
    OptimSettings,
    build,
)

__all__ = ["build", "settings"]


def settings() -> DCFSTTrainSettings:
    """All parts and losses of DCFST, small; the backbone starts from random weights and is trained."""
    return DCFSTTrainSettings(
        net=NetSettings(
            builder="dcfst18_small",
            width=0.125,
            box_channels=32,
            location_channels=(16, 32),
            embedding=(32, 32),
            grid_size=9,
        ),
        data=DataSettings(
            source="synthetic",
            sampling=DCFSTSampling(
                image_size=128, search_area_scale=3.5, centre_range=3.0, size_jitter=0.3, proposal_jitter=0.2
            ),
            samples_per_epoch=160,
            val_samples=32,
            batch_size=8,
            workers=0,
        ),
        optim=OptimSettings(
            locator_lr=2e-3,
            box_lr=2e-3,
            backbone_lr=1e-3,
            schedule="cosine",
            epochs=4,
            checkpoint_every=None,
        ),
    )
