"""The recipe of the shipped weights, second stage: two templates, and a stem that learns too."""

from __future__ import annotations

from dataclasses import replace

from ltr.data.processing.rfgm import RFGMSampling
from ltr.train_settings.rfgm import rfgm_t_small
from ltr.train_settings.rfgm.base import RFGMTrainSettings, build

__all__ = ["build", "settings"]


def settings() -> RFGMTrainSettings:
    """``net.weights`` is the first stage's model.

    Guesses miss by less, as in tracking, and templates miss a little, as those that are taken from predicted boxes do.
    """
    first = rfgm_t_small.settings()
    return replace(
        first,
        data=replace(
            first.data,
            num_template=2,
            sampling=RFGMSampling(
                crop_flip=0.0,
                search_crops=2,
                search_size_jitter=0.18,
                search_centre_jitter=2.5,
                template_size_jitter=0.05,
                template_centre_jitter=0.1,
            ),
            samples_per_epoch=400,
        ),
        optim=replace(first.optim, head_lr=7e-4, encoder_lr=7e-4, stem_lr=3e-4, epochs=22),
    )
