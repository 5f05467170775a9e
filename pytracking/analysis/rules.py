"""Evaluation rules: what each benchmark's toolkit does with bad, absent and first frames.

All toolkits of the field draw the same three curves, yet their figures differ by up to several points,
because they disagree about frames that cannot be scored. One `EvaluationRule` states every such decision;
the presets reproduce the published toolkits. `pytracking/analysis/metrics.py` applies them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import numpy as np

from ltr.admin.errors import unknown_name

HIT = -1.0
"""Error given to a frame that counts as a success at every threshold."""
MISS = float("inf")
"""Error given to a frame that counts as a failure at every threshold."""
OVERLAP_MISS = -1.0
"""Overlap given to a frame that counts as a failure at every threshold, also at 0."""


@lru_cache
def _grid(end: float, bins: int) -> np.ndarray:
    grid = np.linspace(0.0, end, bins + 1)
    grid.flags.writeable = False
    return grid


@dataclass(frozen=True, kw_only=True)
class EvaluationRule:
    """How one evaluation protocol scores a sequence. The defaults are pytracking's (preset `otb`).

    A frame is *excluded* (in no numerator, in no denominator), *absent* (the target is flagged as not
    visible) or *invalid* (its annotation is degenerate); every other frame is valid.

    Attributes:
        name: Name of the preset, as `--rule` takes it.
        summary: One line for people.
        valid_annotation: Which annotated boxes are valid. "positive_xywh": x, y, w, h all > 0 (so a box that
            touches the left or top border is invalid); "pysot": w, h > 0 for overlaps, centre > 0 for centre
            errors and normalised centre > 0 for normalised errors; "any": all.
        nan_annotation: "exclude" (a row of NaN means there is no annotation) or "invalid" (it means the
            target is absent, as in UAV123).
        absent: What frames flagged as not visible do: "ignore" (nothing), "miss" or "exclude".
        invalid_center, invalid_norm: Error of invalid frames: `HIT` or `MISS`. Their overlap is always a
            miss.
        denominator: "all" frames that are not excluded, or only the "valid" ones. With "valid", hits of
            invalid frames still count, as in pytracking's `exclude_invalid_frames`, so that a curve can
            exceed 1.
        first_frame: "ground_truth" (the prediction is replaced by the annotation), "predicted" or "dropped".
        repair: Degenerate predictions. "zero": NaN and negative sizes are an error, a zero size is replaced
            by the prediction before it; "not_positive": NaN and sizes <= 0 are replaced; "none": scored as
            they are.
        length_mismatch: A longer result is always cut. A shorter one: "pad" with zero boxes, "pad_nan"
            (misses), "cut" the annotation too, or "error".
        clip_to_image: Boxes are clipped as the GOT-10k toolkit does before overlaps are computed.
        round_boxes: All boxes are rounded to integers first.
        norm_error: "centers": centres are divided by the annotated size, then subtracted; "pysot": the same
            with 1e-16 added to the size; "difference": the difference is divided by the size;
            "difference_floor": by the size or 1 pixel, whichever is larger.
        inclusive: Success is overlap >= threshold, not >.
        success_bins: 20 (thresholds 0, 0.05 ... 1) or 100, for the curve that gives `auc`, `op50` and `op75`.
        error_bins: Steps of the precision curves, over 0..50 pixels and 0..0.5 target sizes.
        area: Area under a curve: "mean" over its thresholds or "trapezoid" on an x axis of length 1.
        pooled: Curves and scores are taken over all frames of all sequences at once, not averaged over
            sequences.
        drop_zero_sequences: Sequences whose curve is zero everywhere are left out of the mean of that curve.
    """

    name: str
    summary: str
    valid_annotation: Literal["positive_xywh", "pysot", "any"] = "positive_xywh"
    nan_annotation: Literal["exclude", "invalid"] = "exclude"
    absent: Literal["ignore", "miss", "exclude"] = "ignore"
    invalid_center: float = MISS
    invalid_norm: float = HIT
    denominator: Literal["all", "valid"] = "all"
    first_frame: Literal["ground_truth", "predicted", "dropped"] = "ground_truth"
    repair: Literal["zero", "not_positive", "none"] = "zero"
    length_mismatch: Literal["pad", "pad_nan", "cut", "error"] = "pad"
    clip_to_image: bool = False
    round_boxes: bool = False
    norm_error: Literal["centers", "pysot", "difference", "difference_floor"] = "centers"
    inclusive: bool = False
    success_bins: Literal[20, 100] = 20
    error_bins: Literal[50, 20] = 50
    area: Literal["mean", "trapezoid"] = "mean"
    pooled: bool = False
    drop_zero_sequences: bool = False

    @property
    def overlap_thresholds(self) -> np.ndarray:
        """(success_bins + 1,) float64 from 0 to 1.

        `linspace` and not i / n: a few of its values lie an ulp higher, and TrackingNet's `>=` tells them
        apart.
        """
        return _grid(1.0, self.success_bins)

    @property
    def pixel_thresholds(self) -> np.ndarray:
        """(error_bins + 1,) float64 from 0 to 50 pixels."""
        return _grid(50.0, self.error_bins)

    @property
    def norm_thresholds(self) -> np.ndarray:
        """(error_bins + 1,) float64 from 0 to 0.5 target sizes."""
        return _grid(0.5, self.error_bins)


_OTB = EvaluationRule(name="otb", summary="pytracking's rule for OTB, NFS and everything without flags")
_UAV = replace(
    _OTB,
    name="uav",
    summary="pytracking's rule for UAV123: NaN rows are absences",
    nan_annotation="invalid",
    invalid_center=HIT,
)
_LASOT = replace(
    _OTB,
    name="lasot",
    summary="pytracking's rule for LaSOT: absent frames are misses",
    absent="miss",
    length_mismatch="error",
)
_PYSOT = EvaluationRule(
    name="pysot",
    summary="pysot toolkit, OPE",
    valid_annotation="pysot",
    nan_annotation="invalid",
    invalid_center=HIT,
    first_frame="predicted",
    repair="none",
    length_mismatch="error",
    norm_error="pysot",
)
_GOT10K_OTB = EvaluationRule(
    name="got10k_otb",
    summary="got10k toolkit's OTB, NFS and DTB70 experiments",
    valid_annotation="any",
    nan_annotation="invalid",
    invalid_norm=MISS,
    repair="none",
    length_mismatch="cut",
    norm_error="difference_floor",
)
_GOT10K_VAL = replace(
    _GOT10K_OTB,
    name="got10k_val",
    summary="GOT-10k validation: AO and SR over all frames but the first",
    nan_annotation="exclude",
    absent="exclude",
    first_frame="dropped",
    clip_to_image=True,
    success_bins=100,
    pooled=True,
)
_LASOT_TOOLKIT = EvaluationRule(
    name="lasot_toolkit",
    summary="LaSOT's own (MATLAB) toolkit",
    nan_annotation="invalid",
    absent="miss",
    invalid_center=HIT,
    repair="not_positive",
    length_mismatch="error",
    drop_zero_sequences=True,
)
_TRACKINGNET = EvaluationRule(
    name="trackingnet",
    summary="TrackingNet's server: rounded boxes, areas under all three curves",
    valid_annotation="any",
    nan_annotation="invalid",
    invalid_norm=MISS,
    repair="none",
    length_mismatch="pad_nan",
    round_boxes=True,
    norm_error="difference",
    inclusive=True,
    error_bins=20,
    area="trapezoid",
)


def _exclude_invalid(rule: EvaluationRule) -> EvaluationRule:
    """pytracking's `exclude_invalid_frames=True`: the same hits, divided by the number of valid frames."""
    return replace(
        rule,
        name=f"{rule.name}_exclude_invalid",
        denominator="valid",
        summary=f"{rule.summary}; shares of the valid frames",
    )


PRESETS: dict[str, EvaluationRule] = {
    rule.name: rule
    for rule in (
        _OTB,
        _UAV,
        _LASOT,
        _exclude_invalid(_OTB),
        _exclude_invalid(_UAV),
        _exclude_invalid(_LASOT),
        _PYSOT,
        replace(
            _PYSOT,
            name="pysot_lasot",
            summary="pysot toolkit, LaSOT: absent frames are misses",
            absent="miss",
        ),
        _GOT10K_OTB,
        replace(
            _GOT10K_OTB,
            name="got10k_lasot",
            nan_annotation="exclude",
            summary="got10k toolkit's LaSOT and UAV experiments: NaN rows are excluded",
        ),
        _GOT10K_VAL,
        replace(
            _GOT10K_VAL,
            name="got10k_val_unclipped",
            clip_to_image=False,
            summary="GOT-10k validation without clipping boxes to the image",
        ),
        _LASOT_TOOLKIT,
        _TRACKINGNET,
    )
}
"""All presets by name; `otb` is the default of `run_analysis`."""

_BY_DATASET = {
    "uav": "uav",
    "uav123": "uav",
    "uav20l": "uav",
    "lasot": "lasot",
    "lasot_extension_subset": "lasot",
    "got10k_val": "got10k_val",
    "trackingnet": "trackingnet",
}


def get_rule(name: str) -> EvaluationRule:
    """The preset of that name.

    Raises:
        UsageError: No preset has this name; the message shows near misses.
    """
    if name not in PRESETS:
        raise unknown_name("evaluation rule", name, PRESETS)
    return PRESETS[name]


def rule_for_dataset(dataset: str) -> EvaluationRule:
    """The rule `run_analysis` uses when none is named.

    `otb` (pytracking's) for `otb`, `folder`, `synthetic` and every data set not listed here; pytracking's
    `uav` and `lasot` for those; `got10k_val` and `trackingnet` for theirs.
    """
    return PRESETS[_BY_DATASET.get(dataset, "otb")]
