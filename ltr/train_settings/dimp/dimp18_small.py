"""The recipe of the shipped weights: a DiMP of half the width, learned from animated stills on a CPU."""

from __future__ import annotations

from ltr.actors.dimp import DiMPLoss
from ltr.data.processing.dimp import DiMPSampling
from ltr.train_settings.dimp.base import DataSettings, DiMPTrainSettings, NetSettings, OptimSettings, build

__all__ = ["build", "settings"]


def settings() -> DiMPTrainSettings:
    """One frame to learn from and one to track; crops of 3.5 target sides, in which a target has DiMP's usual size.

    The backbone starts from random weights, so its rate is that of the other parts, and the overlaps count for more.
    """
    return DiMPTrainSettings(
        net=NetSettings(builder="dimp18_small"),
        data=DataSettings(
            source="stills",
            synthetic_share=0.1,
            num_train=1,
            num_test=1,
            sampling=DiMPSampling(
                image_size=192,
                search_area_scale=3.5,
                train_size_jitter=0.2,
                train_centre_jitter=1.6,
                test_size_jitter=0.3,
                test_centre_jitter=2.4,
                flip=0.5,
                num_proposals=16,
            ),
            samples_per_epoch=2_400,
            val_samples=160,
            batch_size=16,
            workers=1,
        ),
        loss=DiMPLoss(iou=10.0),
        optim=OptimSettings(
            initializer_lr=5e-4,
            optimizer_lr=1e-3,
            features_lr=1e-3,
            box_lr=1e-3,
            backbone_lr=1e-3,
            schedule="cosine",
            warmup_epochs=1,
            weight_decay=1e-4,
            epochs=24,
            grad_clip=200.0,
            precision="bf16",
            ema_decay=0.998,
            checkpoint_every=25,
        ),
    )
