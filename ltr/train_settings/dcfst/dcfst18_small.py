"""The recipe of the shipped weights: a DCFST of half the width and 441 proposals, from animated stills on a CPU."""

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
    """``net.start_weights`` must name the small DiMP's file, or one of this net.

    Its backbone is kept, its box branch trained further. There a target has 55 pixels, here 58.
    """
    return DCFSTTrainSettings(
        net=NetSettings(builder="dcfst18_small", embedding=(128, 128), grid_size=21),
        data=DataSettings(
            source="stills",
            synthetic_share=0.1,
            sampling=DCFSTSampling(size_jitter=0.3, proposal_jitter=0.2),
            samples_per_epoch=2_400,
            val_samples=96,
            batch_size=16,
            workers=1,
        ),
        optim=OptimSettings(
            locator_lr=2e-3,
            box_lr=5e-4,
            fixed_statistics=True,
            schedule="cosine",
            warmup_epochs=1,
            epochs=10,
            grad_clip=10.0,
            precision="bf16",
            ema_decay=0.995,
            checkpoint_every=25,
        ),
    )
