"""A very small RFGM on procedural videos: minutes on a CPU, no files needed. For tests and first steps."""

from __future__ import annotations

from ltr.actors.rfgm import RFGMLoss
from ltr.data.processing.rfgm import RFGMSampling
from ltr.train_settings.rfgm.base import DataSettings, NetSettings, OptimSettings, RFGMTrainSettings, build

__all__ = ["build", "settings"]


def settings() -> RFGMTrainSettings:
    """All parts and losses of RFGM, small."""
    return RFGMTrainSettings(
        net=NetSettings(
            builder="rfgm_t_small",
            stem="patch",
            template_size=64,
            search_size=128,
            width=32,
            heads=2,
            head_channels=16,
            drop_path=0.0,
            score_at_first=0.02,
        ),
        data=DataSettings(
            source="synthetic",
            num_template=2,
            max_gap=30,
            sampling=RFGMSampling(search_centre_jitter=1.5),
            samples_per_epoch=320,
            val_samples=32,
            batch_size=8,
            workers=0,
        ),
        loss=RFGMLoss(box_at="target"),
        optim=OptimSettings(
            head_lr=2e-3,
            scorer_lr=2e-4,
            encoder_lr=2e-3,
            schedule="cosine",
            epochs=4,
            grad_clip=1.0,
            checkpoint_every=None,
        ),
    )
