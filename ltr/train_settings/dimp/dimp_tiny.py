"""A DiMP an eighth as wide on procedural videos: minutes on a CPU, no files needed. For tests and first steps."""

from __future__ import annotations

from ltr.data.processing.dimp import DiMPSampling
from ltr.train_settings.dimp.base import DataSettings, DiMPTrainSettings, NetSettings, OptimSettings, build

__all__ = ["build", "settings"]


def settings() -> DiMPTrainSettings:
    """All parts and losses of DiMP, small."""
    return DiMPTrainSettings(
        net=NetSettings(builder="dimp18_small", width=0.125, classification_channels=32, box_channels=32),
        data=DataSettings(
            source="synthetic",
            num_train=2,
            num_test=1,
            sampling=DiMPSampling(
                image_size=128,
                search_area_scale=3.0,
                train_size_jitter=0.2,
                train_centre_jitter=1.4,
                test_size_jitter=0.3,
                test_centre_jitter=2.0,
                flip=0.5,
            ),
            samples_per_epoch=160,
            val_samples=32,
            batch_size=8,
            workers=0,
        ),
        optim=OptimSettings(
            initializer_lr=1e-3,
            optimizer_lr=1e-3,
            features_lr=2e-3,
            box_lr=2e-3,
            backbone_lr=2e-3,
            schedule="cosine",
            weight_decay=1e-4,
            epochs=4,
            checkpoint_every=None,
        ),
    )
