"""DiMP-18 as the official code sets it for VOT2018: a smaller region, more of the first frame, no lost targets."""

from __future__ import annotations

from dataclasses import replace

from pytracking.parameter.dimp import dimp18
from pytracking.tracker.dimp.params import DiMPParams


def parameters() -> DiMPParams:
    """Targets never leave for long in VOT, and a lost tracker is started anew."""
    return replace(
        dimp18.parameters(),
        image_sample_size=14 * 16,
        search_area_scale=4.0,
        sample_memory_size=250,
        learning_rate=0.0075,
        init_samples_minimum_weight=0.0,
        train_skipping=10,
        net_opt_iter=25,
        net_opt_update_iter=3,
        net_opt_hn_iter=3,
        window_output=True,
        perform_hn_without_windowing=True,
        target_not_found_threshold=0.0,
        distractor_threshold=100.0,
        hard_negative_threshold=0.45,
        displacement_scale=0.7,
        augment_blur=((2, 0.2), (0.2, 2), (3, 1), (1, 3), (2, 2)),
        augment_rotate=(5, -5, 10, -10, 20, -20, 30, -30, 45, -45, -60, 60),
        augment_dropout=(7, 0.2),
    )
