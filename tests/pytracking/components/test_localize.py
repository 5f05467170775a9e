"""Localisation: the official verdicts on official score maps (tests/goldens/dimp), and each rule by hand."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from pytracking.components.localize import Found, Localization, LocalizeThresholds, localize_target

GOLDENS = Path(__file__).parents[2] / "goldens" / "dimp"


def check_cases(goldens: Mapping[str, np.ndarray], least_of_each: int) -> None:
    cases = json.loads(str(goldens["cases_json"]))
    flags = [case["flag"] for case in cases]
    assert all(flags.count(found.name.lower()) >= least_of_each for found in Found)
    for scores, case in zip(goldens["scores"], cases, strict=True):
        last = np.subtract(case["pos_yx"], case["sample_pos_yx"])
        target = case["target_sz_hw"]
        found = localize_target(
            torch.from_numpy(scores),
            cell=16,
            last_pos_yx=last.tolist(),
            target_sz_hw=target,
            sample_scale=case["sample_scale"],
            thresholds=LocalizeThresholds(),
        )
        assert Found(int(found.flag)).name.lower() == case["flag"]
        np.testing.assert_allclose(found.translation_yx.numpy(), case["translation_yx"], atol=1e-3)


def test_official_verdicts() -> None:
    check_cases(dict(np.load(GOLDENS / "localize.npz")), least_of_each=5)


@pytest.mark.data
def test_all_official_verdicts(shared_dir: Path) -> None:
    check_cases(dict(np.load(shared_dir / "goldens" / "dimp" / "localize.npz")), least_of_each=15)


def peaks(*places: tuple[int, int, float]) -> Tensor:
    scores = torch.zeros(19, 19)
    for row, column, score in places:
        scores[row, column] = score
    return scores


def locate(scores: Tensor, *, last: tuple[float, float] = (0.0, 0.0), **changes: object) -> Localization:
    """A target of 32 x 32 image pixels, crop pixels of 2 image pixels: one cell is 32 image pixels."""
    thresholds = replace(LocalizeThresholds(), **{k: v for k, v in changes.items() if not k.startswith("window")})
    windows = {k: v for k, v in changes.items() if k.startswith("window")}
    return localize_target(
        scores, cell=16, last_pos_yx=last, target_sz_hw=(32, 32), sample_scale=2.0, thresholds=thresholds, **windows
    )


@pytest.mark.parametrize(
    ("scores", "flag", "peak"),
    [
        (peaks((9, 11, 0.24)), Found.NOT_FOUND, (9, 11)),
        (peaks((9, 11, 0.9), (3, 3, 0.3)), Found.NORMAL, (9, 11)),
        (peaks((9, 11, 0.9), (3, 3, 0.6)), Found.HARD_NEGATIVE, (9, 11)),
        (peaks((9, 11, 0.4), (3, 3, 0.21)), Found.NORMAL, (9, 11)),  # a share above half, but no target itself
        (peaks((9, 11, 0.9), (4, 9, 0.8)), Found.UNCERTAIN, (9, 11)),  # both near
        (peaks((9, 11, 0.9), (0, 0, 0.8)), Found.HARD_NEGATIVE, (9, 11)),  # the second one is far
        (peaks((0, 0, 0.9), (9, 11, 0.8)), Found.HARD_NEGATIVE, (9, 11)),  # the first one is far
        (peaks((0, 0, 0.9), (18, 18, 0.8)), Found.UNCERTAIN, (0, 0)),  # both far
        (peaks((9, 11, 0.9), (9, 12, 0.89)), Found.NORMAL, (9, 11)),  # within the first peak's surroundings
    ],
)
def test_rules(scores: Tensor, flag: Found, peak: tuple[int, int]) -> None:
    found = locate(scores)
    assert int(found.flag) == flag
    assert found.translation_yx.tolist() == [(peak[0] - 9) * 32, (peak[1] - 9) * 32]


def test_distance_counts_from_the_last_position() -> None:
    scores = peaks((0, 0, 0.9), (9, 11, 0.8))
    assert locate(scores, last=(-9 * 32.0, -9 * 32.0)).translation_yx.tolist() == [-288, -288]


def test_further_bounds_come_in_order() -> None:
    scores = peaks((9, 9, 0.5))
    assert int(locate(scores, uncertain=0.6, hard_sample=0.6).flag) == Found.UNCERTAIN
    assert int(locate(scores, hard_sample=0.6).flag) == Found.HARD_NEGATIVE
    assert int(locate(scores, hard_sample=0.6, not_found=0.6).flag) == Found.NOT_FOUND


def test_equal_peaks_go_to_the_first_column() -> None:
    assert locate(peaks((9, 9, 0.9), (12, 8, 0.9), (7, 8, 0.9))).peak_yx.tolist() == [7, 8]


def test_window_moves_the_first_peak_and_may_spare_the_second() -> None:
    scores = peaks((1, 9, 1.0), (9, 9, 0.9))
    window = torch.ones(19, 19)
    window[:3] = 0.4
    assert int(locate(scores).flag) == Found.HARD_NEGATIVE and locate(scores).peak_yx.tolist() == [1, 9]
    damped = locate(scores, window=window)
    assert damped.peak_yx.tolist() == [9, 9] and int(damped.flag) == Found.NORMAL
    spared = locate(scores, window=window, window_distractors=False)
    assert spared.peak_yx.tolist() == [9, 9] and int(spared.flag) == Found.HARD_NEGATIVE


def test_scores_that_are_no_numbers_give_no_target() -> None:
    found = locate(torch.full((19, 19), math.nan))
    assert int(found.flag) == Found.NOT_FOUND and torch.isfinite(found.translation_yx).all()
