"""A net an eighth as wide on procedural videos: minutes on a CPU, no files needed. For tests and first steps."""

from __future__ import annotations

from ltr.actors.edcf import EDCFLoss
from ltr.data.processing.pairs import SearchJitter
from ltr.train_settings.edcf.base import DataSettings, EDCFTrainSettings, NetSettings, OptimSettings, build

__all__ = ["build", "settings"]


def settings() -> EDCFTrainSettings:
    """All branches and losses of EDCF, small."""
    return EDCFTrainSettings(
        net=NetSettings(width=0.125),
        data=DataSettings(
            source="synthetic",
            max_gap=20,
            image_size=191,
            template_size=191,
            jitter=SearchJitter(shift=0.12, max_shift=0.35),
            samples_per_epoch=160,
            val_samples=32,
            batch_size=8,
            workers=0,
        ),
        loss=EDCFLoss(mismatch=0.5),
        optim=OptimSettings(optimizer="adam", lr=2e-3, final_lr=2e-4, epochs=4, weight_decay=1e-4),
    )
