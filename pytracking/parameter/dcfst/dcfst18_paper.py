"""DCFST-18 as the paper describes it, without what only the official code has."""

from __future__ import annotations

from dataclasses import replace

from pytracking.parameter.dcfst import dcfst18
from pytracking.tracker.dcfst.params import DCFSTParams


def parameters() -> DCFSTParams:
    """ResNet-18; the threshold below which a target is lost is still that of the code."""
    return replace(
        dcfst18.parameters(),
        gauss_seidel_sweeps=5,
        learning_rate=0.01,
        train_skipping=1,
        hard_negatives="off",
        window_sigma_factor=None,
        augment_fliplr=False,
        augment_blur=(),
        augment_rotate=(),
        gradient_decimals=None,
        scale_damp=0.0,
    )
