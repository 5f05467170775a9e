"""The recipe of the shipped weights: four blocks on the backbone of the small DiMP, from animated stills on a CPU."""

from __future__ import annotations

from ltr.actors.rfgm import RFGMLoss
from ltr.data.processing.rfgm import RFGMSampling
from ltr.train_settings.rfgm.base import DataSettings, NetSettings, OptimSettings, RFGMTrainSettings, build

__all__ = ["build", "settings"]


def settings() -> RFGMTrainSettings:
    """First stage: one template, crops of 96 and 192 pixels, two searches per pair of frames, which are slow to draw.

    The stem is the small DiMP's (``net.stem_weights``) and keeps its weights. It can tell what looks alike, and the
    first block begins with that (``net.matching``).
    """
    return RFGMTrainSettings(
        net=NetSettings(
            builder="rfgm_t_small", drop_path=0.0, keep_at_first=0.95, score_at_first=0.02, matching=True
        ),
        data=DataSettings(
            source="stills",
            synthetic_share=0.1,
            num_template=1,
            max_gap=30,
            sampling=RFGMSampling(crop_flip=0.0, search_crops=2),
            samples_per_epoch=800,
            val_samples=96,
            batch_size=8,
            workers=1,
        ),
        loss=RFGMLoss(box_at="around"),
        optim=OptimSettings(
            head_lr=1e-3,
            scorer_lr=1e-4,  # at the rate of the others they once dropped most of the memory, in the third epoch
            encoder_lr=1e-3,
            schedule="cosine",
            warmup_epochs=1,
            epochs=20,
            grad_clip=1.0,
            precision="bf16",
            ema_decay=0.998,
            checkpoint_every=50,
        ),
    )
