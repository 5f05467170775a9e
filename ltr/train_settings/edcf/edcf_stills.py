"""The recipe of the shipped weights: EDCF learned from animated stills on a CPU."""

from __future__ import annotations

from ltr.actors.edcf import EDCFLoss
from ltr.data.processing.pairs import SearchJitter
from ltr.train_settings.edcf.base import DataSettings, EDCFTrainSettings, NetSettings, OptimSettings, build

__all__ = ["build", "settings"]


def settings() -> EDCFTrainSettings:
    """Crops of 191 pixels (2.25 target sides) cost half of the paper's 255 and teach the same features."""
    return EDCFTrainSettings(
        net=NetSettings(width=0.5),
        data=DataSettings(
            source="stills",
            max_gap=30,
            image_size=191,
            template_size=191,
            jitter=SearchJitter(shift=0.12, max_shift=0.35),
            samples_per_epoch=1_600,
            val_samples=160,
            batch_size=16,
            workers=1,
        ),
        loss=EDCFLoss(mismatch=0.5, reconstruct="exemplar", reconstruction=0.2, label_sigma=6.2),
        optim=OptimSettings(
            optimizer="adam", lr=2e-3, final_lr=2e-5, warmup_epochs=1, epochs=16, weight_decay=1e-4, checkpoint_every=25
        ),
    )
