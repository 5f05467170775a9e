"""DCFST-50 with the official code's values for GOT-10k; it has none for OTB2015 or Need for Speed."""

from __future__ import annotations

from dataclasses import replace

from pytracking.parameter.dcfst import dcfst18
from pytracking.tracker.dcfst.params import DCFSTParams


def parameters() -> DCFSTParams:
    """ResNet-50, which the official code tracks with a tracker of its own."""
    return replace(
        dcfst18.parameters(),
        weights="dcfst50",
        update="normal_equations",
        retrain_when_lost=True,
        learning_rate=0.02,
        hard_negatives="relative",
        hard_negative_threshold=0.5,
        hard_negative_learning_rate=0.1,
        target_not_found_threshold=0.2,
        window_sigma_factor=1.0,
        num_init_random_boxes=19,
        box_jitter_pos=0.2,
        iounet_k=5,
        scale_damp=0.4,
        output_box="clipped",
    )
