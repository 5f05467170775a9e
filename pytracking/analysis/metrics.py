"""Curves and scores: success, precision, normalised precision, AUC, OP, DP, AO, SR.

Everything is counted from `frames.FrameErrors`, so the rule decides about special frames and this module
only about thresholds and averages. All figures are fractions in [0, 1] (an `exclude_invalid` rule can exceed
1).

Two averages of the overlap exist and differ:
    ao: GOT-10k's average overlap (Huang et al., PAMI 2019): the mean overlap of all valid frames of all
        sequences together, *without frame 0*, where every tracker is perfect by construction.
    avg_overlap: pytracking's: per sequence the mean over valid frames *with* frame 0, then the mean over
        sequences.
Neither is the area under the success curve (`auc`), whose sum over 21 thresholds with `>` lies about 0.01
lower.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pytracking.analysis.frames import FrameErrors, center_errors, frame_errors, overlaps
from pytracking.analysis.rules import EvaluationRule

__all__ = [
    "SequenceScore",
    "Summary",
    "center_errors",
    "count_above",
    "count_within",
    "evaluate_sequence",
    "overlaps",
    "score_frames",
    "summarize",
]


@dataclass(frozen=True)
class SequenceScore:
    """Counts of one sequence; `summarize` turns any number of them into curves and figures.

    Attributes:
        success: (success_bins + 1,) int64 frames above each overlap threshold.
        precision: (error_bins + 1,) int64 frames within each threshold in pixels.
        norm_precision: (error_bins + 1,) int64 frames within each threshold in target sizes.
        frames: Denominator of the three.
        overlap_frames: Valid frames without frame 0; `overlap_sum`, `above_50`, `above_75` are taken over
            these.
        avg_overlap: Mean overlap of the valid frames, frame 0 included; NaN without any.
    """

    success: np.ndarray
    precision: np.ndarray
    norm_precision: np.ndarray
    frames: int
    overlap_frames: int
    overlap_sum: float
    above_50: int
    above_75: int
    avg_overlap: float


@dataclass(frozen=True)
class Summary:
    """Curves and figures of a tracker over one or more sequences.

    Attributes:
        success, precision, norm_precision: The curves, float64, over the thresholds of the rule.
        auc: Area under the success curve (pytracking: the mean over its 21 thresholds, frame 0 included).
        op50, op75: The success curve at overlap 0.5 and 0.75.
        dp20: The precision curve at 20 pixels.
        norm_at_20: The normalised precision curve at 0.2 target sizes.
        precision_auc, norm_precision_auc: Areas under these two (TrackingNet's figures; the second is also
            the got10k toolkit's score for LaSOT).
        ao, sr50, sr75: GOT-10k's: pooled over frames, without frame 0, overlaps > 0.5 and > 0.75; NaN
            without frames.
        avg_overlap: pytracking's, see above.
    """

    success: np.ndarray
    precision: np.ndarray
    norm_precision: np.ndarray
    auc: float
    op50: float
    op75: float
    dp20: float
    norm_at_20: float
    precision_auc: float
    norm_precision_auc: float
    ao: float
    sr50: float
    sr75: float
    avg_overlap: float


def count_above(values: np.ndarray, thresholds: np.ndarray, *, inclusive: bool = False) -> np.ndarray:
    """How many of the ascending, NaN-free (n,) values lie above (`inclusive`: at or above) each threshold."""
    return values.size - np.searchsorted(values, thresholds, side="left" if inclusive else "right")


def count_within(values: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """How many of the ascending, NaN-free (n,) values are at most each threshold."""
    return np.searchsorted(values, thresholds, side="right")


def score_frames(errors: FrameErrors, rule: EvaluationRule) -> SequenceScore:
    """Count one sequence.

    Sorting counts values that lie on a threshold exactly, which binning by multiplication does not.

    Raises:
        ValueError: The rule leaves no frame to divide by.
    """
    valid = errors.valid
    frames = valid.size if rule.denominator == "all" else int(np.count_nonzero(valid))
    if frames == 0:
        raise ValueError(f"the rule '{rule.name}' leaves no frame to score")
    scored = errors.overlap[valid]
    np.maximum(scored, 0.0, out=scored)
    avg_overlap = float(scored.mean()) if scored.size else float("nan")
    if errors.starts_at_init and valid[0]:
        scored = scored[1:]
    return SequenceScore(
        success=count_above(np.sort(errors.overlap), rule.overlap_thresholds, inclusive=rule.inclusive),
        precision=count_within(np.sort(errors.center), rule.pixel_thresholds),
        norm_precision=count_within(np.sort(errors.norm), rule.norm_thresholds),
        frames=frames,
        overlap_frames=scored.size,
        overlap_sum=float(scored.sum()),
        above_50=int(np.count_nonzero(scored > 0.5)),
        above_75=int(np.count_nonzero(scored > 0.75)),
        avg_overlap=avg_overlap,
    )


def evaluate_sequence(
    ground_truth: np.ndarray,
    prediction: np.ndarray,
    rule: EvaluationRule,
    *,
    visible: np.ndarray | None = None,
    image_size: tuple[int, int] | None = None,
) -> SequenceScore:
    """Score one sequence; arguments and errors as in `frames.frame_errors` and `score_frames`."""
    errors = frame_errors(ground_truth, prediction, rule, visible=visible, image_size=image_size)
    return score_frames(errors, rule)


def _curve(counts: Sequence[np.ndarray], frames: np.ndarray, rule: EvaluationRule) -> np.ndarray:
    stacked = np.stack(counts).astype(np.float64)
    if rule.pooled:
        return stacked.sum(axis=0) / frames.sum()
    curves = stacked / frames[:, None]
    if rule.drop_zero_sequences and stacked.any():
        curves = curves[stacked.any(axis=1)]
    return curves.mean(axis=0)


def _area(curve: np.ndarray, rule: EvaluationRule) -> float:
    if rule.area == "mean":
        return float(curve.mean())
    return float((curve.sum() - 0.5 * (curve[0] + curve[-1])) / (curve.size - 1))


def summarize(scores: Sequence[SequenceScore], rule: EvaluationRule) -> Summary:
    """Average sequences as the rule says and read off the figures.

    Raises:
        ValueError: There are no scores.
    """
    if not scores:
        raise ValueError("no sequence to summarize")
    frames = np.array([score.frames for score in scores], dtype=np.float64)
    success = _curve([score.success for score in scores], frames, rule)
    precision = _curve([score.precision for score in scores], frames, rule)
    norm = _curve([score.norm_precision for score in scores], frames, rule)
    counted = sum(score.overlap_frames for score in scores)
    share = 1.0 / counted if counted else float("nan")
    averages = np.array([score.avg_overlap for score in scores])
    averages = averages[~np.isnan(averages)]
    at_20 = rule.error_bins * 2 // 5  # 20 of 50 pixels, 0.2 of 0.5 target sizes
    return Summary(
        success=success,
        precision=precision,
        norm_precision=norm,
        auc=_area(success, rule),
        op50=float(success[rule.success_bins // 2]),
        op75=float(success[rule.success_bins * 3 // 4]),
        dp20=float(precision[at_20]),
        norm_at_20=float(norm[at_20]),
        precision_auc=_area(precision, rule),
        norm_precision_auc=_area(norm, rule),
        ao=share * sum(score.overlap_sum for score in scores),
        sr50=share * sum(score.above_50 for score in scores),
        sr75=share * sum(score.above_75 for score in scores),
        avg_overlap=float(averages.mean()) if averages.size else float("nan"),
    )
