"""Cases small enough to be computed by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytracking.analysis.frames import center_errors, frame_errors, overlaps
from pytracking.analysis.metrics import count_above, count_within, evaluate_sequence, summarize
from pytracking.analysis.rules import EvaluationRule, get_rule

OTB = get_rule("otb")
BOX = [10.0, 20.0, 30.0, 40.0]
NAN = [np.nan] * 4


def boxes(*rows: list[float]) -> np.ndarray:
    return np.array(rows, dtype=np.float64)


def evaluate(gt: np.ndarray, pred: np.ndarray, rule: EvaluationRule = OTB, **options: Any) -> Any:
    return summarize([evaluate_sequence(gt, pred, rule, **options)], rule)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (BOX, BOX, 1.0),
        ([0, 0, 10, 10], [5, 0, 10, 10], 50 / 150),
        ([0, 0, 10, 10], [10, 0, 10, 10], 0.0),  # edges that touch share no area
        ([0, 0, 10, 10], [2, 3, 4, 5], 20 / 100),
        ([0, 0, 10, 10], [0, 0, 20, 10], 0.5),
        ([-5, -5, 10, 10], [0, 0, 10, 10], 25 / 175),
        ([0, 0, 10, 10], [3, 3, 0, 5], 0.0),
        ([0, 0, 10, 10], NAN, np.nan),
        ([1, 1, 0, 0], [1, 1, 0, 0], np.nan),
    ],
)
def test_overlap(one: list[float], other: list[float], expected: float) -> None:
    np.testing.assert_allclose(overlaps(boxes(one), boxes(other)), [expected])
    np.testing.assert_allclose(overlaps(boxes(other), boxes(one)), [expected])


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (BOX, BOX, 0.0),
        ([0, 0, 10, 10], [3, 4, 10, 10], 5.0),
        ([0, 0, 10, 10], [0, 0, 16, 2], 5.0),  # the centre moves by half of the change of size
        ([0, 0, 10, 10], NAN, np.nan),
    ],
)
def test_center_error(one: list[float], other: list[float], expected: float) -> None:
    np.testing.assert_allclose(center_errors(boxes(one), boxes(other)), [expected])


def test_perfect_tracker() -> None:
    gt = np.random.default_rng(0).uniform(1, 50, (200, 4))  # floats: x + w - x is not always w
    result = evaluate(gt, gt)
    # With `>` a perfect tracker has 20 of 21 thresholds, and never the last.
    np.testing.assert_array_equal(result.success, [1.0] * 20 + [0.0])
    assert result.auc == pytest.approx(20 / 21)
    assert (result.op50, result.op75, result.dp20, result.norm_at_20) == (1, 1, 1, 1)
    assert (result.ao, result.sr50, result.sr75, result.avg_overlap) == pytest.approx((1, 1, 1, 1))
    assert evaluate(gt, gt, get_rule("trackingnet")).auc == 1.0


def test_thresholds_are_exclusive_for_overlaps_and_inclusive_for_errors() -> None:
    gt = boxes(BOX, [10, 20, 30, 40], [10, 20, 30, 40])
    pred = boxes(BOX, [10, 20, 60, 40], [22, 36, 30, 40])  # overlap exactly 0.5; centre error exactly 20
    result = evaluate(gt, pred)
    assert result.op50 == pytest.approx(1 / 3)
    assert result.success[9] == pytest.approx(2 / 3)
    assert result.dp20 == 1.0
    assert result.precision[19] == pytest.approx(2 / 3)
    assert evaluate(gt, pred, replace(OTB, inclusive=True)).op50 == pytest.approx(2 / 3)


def test_success_curve_by_hand() -> None:
    gt = boxes(BOX, [100, 100, 10, 10], [100, 100, 10, 10], [100, 100, 10, 10])
    pred = boxes(BOX, [100, 100, 10, 6.1], [100, 100, 3.2, 10], [300, 300, 10, 10])  # 0.61, 0.32, 0
    result = evaluate(gt, pred)
    expected = [sum(overlap > i / 20 for overlap in (1.0, 0.61, 0.32, -1.0)) / 4 for i in range(21)]
    np.testing.assert_allclose(result.success, expected)
    assert result.auc == pytest.approx(np.mean(expected))
    assert result.ao == pytest.approx((0.61 + 0.32 + 0.0) / 3)
    assert result.avg_overlap == pytest.approx((1.0 + 0.61 + 0.32 + 0.0) / 4)
    assert (result.sr50, result.sr75) == pytest.approx((1 / 3, 0))
    fine = evaluate(gt, pred, replace(OTB, success_bins=100))
    assert fine.success.shape == (101,)
    assert fine.success[60] == pytest.approx(2 / 4)
    assert fine.success[61] == pytest.approx(1 / 4)


def test_normalised_precision_divides_each_axis_by_the_annotated_size() -> None:
    gt = boxes(BOX, [10, 20, 30, 40])
    pred = boxes(BOX, [10 + 0.3 * 30, 20 + 0.4 * 40, 30, 40])  # 0.3 and 0.4 target sizes: 0.5
    norm = frame_errors(gt, pred, OTB).norm
    assert norm[1] == pytest.approx(0.5)
    assert evaluate(gt, pred).norm_at_20 == 0.5


def test_the_first_frame() -> None:
    gt, pred = boxes(BOX, BOX), boxes([500, 500, 5, 5], BOX)
    assert evaluate(gt, pred).op50 == 1.0  # replaced by the annotation
    assert evaluate(gt, pred, get_rule("pysot")).op50 == 0.5  # as predicted
    dropped = evaluate_sequence(gt, pred, get_rule("got10k_val_unclipped"))
    assert (dropped.frames, dropped.overlap_frames) == (1, 1)
    assert evaluate_sequence(gt, pred, OTB).overlap_frames == 1


def test_ao_is_pooled_over_frames_and_auc_averaged_over_sequences() -> None:
    good = evaluate_sequence(np.tile(BOX, (3, 1)), np.tile(BOX, (3, 1)), OTB)
    far = np.concatenate([boxes(BOX), np.tile([300.0, 300, 5, 5], (8, 1))])
    bad = evaluate_sequence(np.tile(BOX, (9, 1)), far, OTB)
    both = summarize([good, bad], OTB)
    assert both.ao == pytest.approx(2 / 10)
    assert both.op50 == pytest.approx((1 + 1 / 9) / 2)
    pooled = summarize([good, bad], replace(OTB, pooled=True))
    assert pooled.op50 == pytest.approx((3 + 1) / 12)


@pytest.mark.parametrize(
    ("rule", "success", "precision", "norm"),
    [
        # a hit in frames 0 and 1, then a frame whose annotation is (0, 0, 0, 0)
        ("otb", 2 / 3, 2 / 3, 1.0),
        ("uav", 2 / 3, 1.0, 1.0),
        ("lasot", 2 / 3, 2 / 3, 1.0),
        ("otb_exclude_invalid", 1.0, 1.0, 1.5),
        ("uav_exclude_invalid", 1.0, 1.5, 1.5),
        ("pysot", 2 / 3, 1.0, 1.0),
        ("lasot_toolkit", 2 / 3, 1.0, 1.0),
    ],
)
def test_degenerate_annotation(rule: str, success: float, precision: float, norm: float) -> None:
    gt, pred = boxes(BOX, BOX, [0, 0, 0, 0]), boxes(BOX, BOX, BOX)
    result = evaluate(gt, pred, get_rule(rule))
    assert (result.op50, result.dp20, result.norm_at_20) == pytest.approx((success, precision, norm))
    assert result.ao == 1.0  # such a frame is in no mean overlap


@pytest.mark.parametrize(
    ("rule", "success", "precision", "frames"),
    [("otb", 1.0, 1.0, 2), ("lasot", 1.0, 1.0, 2), ("uav", 2 / 3, 1.0, 3), ("got10k_lasot", 1.0, 1.0, 2),
     ("got10k_otb", 2 / 3, 2 / 3, 3), ("trackingnet", 2 / 3, 2 / 3, 3)],
)  # fmt: skip
def test_nan_annotation(rule: str, success: float, precision: float, frames: int) -> None:
    score = evaluate_sequence(boxes(BOX, BOX, NAN), boxes(BOX, BOX, BOX), get_rule(rule))
    assert score.frames == frames
    result = summarize([score], get_rule(rule))
    assert (result.op50, result.dp20) == pytest.approx((success, precision))


@pytest.mark.parametrize(
    ("rule", "success", "frames"),
    [("otb", 1.0, 3), ("pysot", 1.0, 3), ("lasot", 2 / 3, 3), ("lasot_exclude_invalid", 1.0, 2),
     ("pysot_lasot", 2 / 3, 3), ("lasot_toolkit", 2 / 3, 3), ("got10k_val_unclipped", 1.0, 1)],
)  # fmt: skip
def test_absent_frames(rule: str, success: float, frames: int) -> None:
    visible = np.array([True, True, False])
    score = evaluate_sequence(np.tile(BOX, (3, 1)), np.tile(BOX, (3, 1)), get_rule(rule), visible=visible)
    assert score.frames == frames
    assert summarize([score], get_rule(rule)).op50 == pytest.approx(success)


def test_boxes_at_the_left_border_are_invalid_for_pytracking_only() -> None:
    gt = boxes(BOX, [0, 20, 30, 40], [5, -3, 30, 40])
    assert evaluate(gt, gt).op50 == pytest.approx(1 / 3)
    assert evaluate(gt, gt, get_rule("got10k_otb")).op50 == 1.0
    assert evaluate(gt, gt, get_rule("pysot")).op50 == 1.0


@pytest.mark.parametrize(("rule", "hits"), [("otb", 3), ("lasot_toolkit", 3), ("pysot", 1), ("got10k_otb", 1)])
def test_predictions_of_size_zero_are_replaced_by_the_one_before(rule: str, hits: int) -> None:
    pred = boxes(BOX, [11, 20, 0, 40], [500, 500, 3, 0])
    result = evaluate(np.tile(BOX, (3, 1)), pred, get_rule(rule))
    assert result.op50 == pytest.approx(hits / 3)


def test_repair_takes_the_raw_first_prediction() -> None:
    # pytracking repairs before it puts the annotation into frame 0.
    pred = boxes([300, 300, 5, 5], [10, 20, 0, 0])
    assert evaluate(boxes(BOX, BOX), pred).op50 == 0.5


@pytest.mark.parametrize("bad", [NAN, [1, 2, -3, 4], [np.inf, 1, 2, 3]])
def test_boxes_that_are_none_are_an_error_for_pytracking_and_misses_elsewhere(bad: list[float]) -> None:
    gt, pred = np.tile(BOX, (3, 1)), boxes(BOX, bad, BOX)
    with pytest.raises(ValueError, match=r"frame 1 \(line 2\)"):
        evaluate(gt, pred)
    result = evaluate(gt, pred, get_rule("got10k_otb"))
    assert result.op50 == pytest.approx(2 / 3)
    assert result.ao == pytest.approx(0.5)


@pytest.mark.parametrize(("rule", "frames", "hits"), [("otb", 4, 2), ("got10k_otb", 2, 2), ("trackingnet", 4, 2)])
def test_a_shorter_result(rule: str, frames: int, hits: int) -> None:
    score = evaluate_sequence(np.tile(BOX, (4, 1)), np.tile(BOX, (2, 1)), get_rule(rule))
    assert (score.frames, score.success[10]) == (frames, hits)


@pytest.mark.parametrize("rule", ["lasot", "pysot", "lasot_toolkit"])
def test_a_shorter_result_can_be_an_error(rule: str) -> None:
    with pytest.raises(ValueError, match="2 predicted boxes for 4 annotated frames"):
        evaluate_sequence(np.tile(BOX, (4, 1)), np.tile(BOX, (2, 1)), get_rule(rule))


def test_frames_beyond_the_annotation_are_not_missed() -> None:
    gt = boxes(BOX, BOX, NAN, NAN)
    assert evaluate_sequence(gt, boxes(BOX, BOX), get_rule("lasot")).frames == 2
    assert evaluate_sequence(gt, boxes(BOX, BOX, BOX), OTB).frames == 2


def test_clipping_shifts_what_is_cut_at_the_left() -> None:
    rule = get_rule("got10k_val")
    gt, pred = boxes(BOX, [0, 0, 10, 10]), boxes(BOX, [-5, 0, 10, 10])
    assert evaluate(gt, pred, rule, image_size=(100, 100)).ao == 1.0
    assert evaluate(gt, pred, get_rule("got10k_val_unclipped")).ao == pytest.approx(50 / 150)
    with pytest.raises(ValueError, match="image_size"):
        evaluate(gt, pred, rule)


def test_trackingnet_rounds_boxes_and_takes_areas() -> None:
    rule = get_rule("trackingnet")
    gt, pred = boxes(BOX, BOX), boxes(BOX, [10.4, 19.6, 30.2, 39.8])
    result = evaluate(gt, pred, rule)
    assert (result.auc, result.precision_auc, result.norm_precision_auc) == (1.0, 1.0, 1.0)
    missed = evaluate(gt, boxes(BOX, [900, 900, 3, 3]), rule)
    # success(0) is 1 because 0 >= 0; the trapezoid takes half of the first interval's fall
    assert missed.auc == pytest.approx(0.5 + 0.5 * 0.5 / 20)


def test_sequences_without_any_hit_are_dropped_by_the_lasot_toolkit() -> None:
    rule = get_rule("lasot_toolkit")
    hit = evaluate_sequence(np.tile(BOX, (4, 1)), np.tile(BOX, (4, 1)), rule)
    absent = evaluate_sequence(np.tile(BOX, (4, 1)), np.tile(BOX, (4, 1)), rule, visible=np.zeros(4, dtype=bool))
    assert summarize([hit, absent], rule).op50 == 1.0
    assert summarize([hit, absent], replace(rule, drop_zero_sequences=False)).op50 == 0.5
    assert summarize([absent], rule).op50 == 0.0


def test_inputs_stay_as_they_are() -> None:
    gt, pred = boxes(BOX, NAN, BOX, BOX), boxes([1, 1, 1, 1], [2, 2, 0, 0], [3, 3, 3.5, 3], BOX)
    before, visible = (gt.copy(), pred.copy()), np.array([True, True, False, True])
    for name in ("otb", "pysot", "got10k_val", "trackingnet", "lasot_toolkit"):
        evaluate_sequence(gt, pred, get_rule(name), visible=visible, image_size=(9, 9))
    np.testing.assert_array_equal(gt, before[0])
    np.testing.assert_array_equal(pred, before[1])


@pytest.mark.parametrize(
    ("gt", "pred", "options", "words"),
    [
        (np.ones((3, 5)), np.ones((3, 4)), {}, "ground truth must have shape"),
        (np.ones((3, 4)), np.ones(4), {}, "prediction must have shape"),
        (np.ones((3, 4)), np.ones((3, 4)), {"visible": np.ones(2, dtype=bool)}, "2 visibility flags for 3"),
        (np.full((3, 4), np.nan), np.ones((3, 4)), {}, "leaves no frame"),
        (np.ones((0, 4)), np.ones((0, 4)), {}, "leaves no frame"),
    ],
)
def test_wrong_inputs(gt: np.ndarray, pred: np.ndarray, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        evaluate_sequence(gt, pred, OTB, **options)


def test_no_scores_cannot_be_summarized() -> None:
    with pytest.raises(ValueError, match="no sequence"):
        summarize([], OTB)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.one_of(st.floats(-1, 1), st.sampled_from([i / 20 for i in range(21)])), max_size=40),
    st.booleans(),
)
def test_counting_is_what_comparing_would_count(values: list[float], inclusive: bool) -> None:
    ordered, thresholds = np.sort(np.array(values, dtype=np.float64)), OTB.overlap_thresholds
    above = [sum(v >= t if inclusive else v > t for v in values) for t in thresholds]
    assert count_above(ordered, thresholds, inclusive=inclusive).tolist() == above
    assert count_within(ordered, thresholds).tolist() == [sum(v <= t for v in values) for t in thresholds]
