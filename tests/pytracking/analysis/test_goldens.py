"""Every curve and figure of the reference toolkits, to float32 rounding or better."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytracking.analysis.metrics import SequenceScore, evaluate_sequence, summarize
from pytracking.analysis.rules import EvaluationRule, get_rule

FOLDER = Path(__file__).parents[2] / "goldens" / "metrics"
TOLERANCE = 1e-7
TRACKERS = ("jitter", "drift", "lost", "edge")

# toolkit and rule of the golden, our preset, NaN where invisible, which flags are given
CURVES = [
    ("pytracking__otb", "otb", False, None),
    ("pytracking__otb_excl", "otb_exclude_invalid", False, None),
    ("pytracking__lasot", "lasot", False, "visible"),
    ("pytracking__lasot_excl", "lasot_exclude_invalid", False, "visible"),
    ("pytracking__uav_nan", "uav", True, None),
    ("pytracking__uav_nan_excl", "uav_exclude_invalid", True, None),
    ("got10k__otb", "got10k_otb", False, None),
    ("got10k__lasot", "got10k_lasot", False, None),
    ("got10k__lasot_nan", "got10k_lasot", True, None),
    ("pysot__otb", "pysot", False, None),
    ("pysot__uav_nan", "pysot", True, None),
    ("pysot__lasot_absent", "pysot_lasot", False, "visible"),
    ("lasot_rule", "lasot_toolkit", False, "visible"),
]
OF_PYTRACKING = [case for case in CURVES if case[0].startswith("pytracking")]
KINDS = {
    "succ21": ("success", 20),
    "succ101": ("success", 100),
    "prec51": ("precision", 20),
    "norm51": ("norm_precision", 20),
}


class Goldens:
    """The arrays and scalars, and our scores for them."""

    def __init__(self) -> None:
        with np.load(FOLDER / "metrics_golden.npz") as arrays:
            self.arrays = {name: arrays[name] for name in arrays.files}
        self.scalars: dict[str, Any] = json.loads((FOLDER / "metrics_golden.json").read_text())
        self.sequences: list[str] = self.scalars["sequences"]

    def prediction(self, tracker: str, sequence: str) -> np.ndarray:
        return self.arrays[f"pred_e4__{tracker}__{sequence}"] / 1e4

    def truth(self, sequence: str, nan: bool = False) -> np.ndarray:
        boxes = self.arrays[f"gt__{sequence}"].astype(np.float64)
        if nan:
            boxes[self.arrays[f"visible__{sequence}"] == 0] = np.nan
        return boxes

    def scores(
        self, rule: EvaluationRule, tracker: str, nan: bool = False, flags: str | None = None
    ) -> list[SequenceScore]:
        return [
            evaluate_sequence(
                self.truth(name, nan),
                self.prediction(tracker, name),
                rule,
                visible=None if flags is None else self.arrays[f"{flags}__{name}"] > 0,
                image_size=tuple(self.arrays[f"bound__{name}"]),
            )
            for name in self.sequences
        ]


@pytest.fixture(scope="module")
def goldens() -> Goldens:
    return Goldens()


def test_every_ope_array_is_covered(goldens: Goldens) -> None:
    inputs = ("gt__", "pred_e4__", "visible__", "cover__", "bound__")
    outputs = {name for name in goldens.arrays if not name.startswith(inputs)}
    covered = {f"{golden}__{kind}" for golden, *_ in CURVES for kind in [*KINDS, "avg_overlap"]}
    assert {name for name in outputs - covered if "got10k_val" not in name} == set()


@pytest.mark.parametrize(("golden", "preset", "nan", "flags"), CURVES)
def test_curves(goldens: Goldens, golden: str, preset: str, nan: bool, flags: str | None) -> None:
    kinds = [kind for kind in KINDS if f"{golden}__{kind}" in goldens.arrays]  # not every toolkit has all
    assert {"succ21", "prec51"} <= set(kinds)
    for kind in kinds:
        attribute, bins = KINDS[kind]
        rule = replace(get_rule(preset), success_bins=bins)
        for column, tracker in enumerate(TRACKERS):
            ours = [getattr(s, attribute) / s.frames for s in goldens.scores(rule, tracker, nan, flags)]
            expected = goldens.arrays[f"{golden}__{kind}"][:, column]
            np.testing.assert_allclose(ours, expected, rtol=0, atol=TOLERANCE, err_msg=f"{kind} {tracker}")


@pytest.mark.parametrize(("golden", "preset", "nan", "flags"), OF_PYTRACKING)
def test_avg_overlap(goldens: Goldens, golden: str, preset: str, nan: bool, flags: str | None) -> None:
    for column, tracker in enumerate(TRACKERS):
        ours = [s.avg_overlap for s in goldens.scores(get_rule(preset), tracker, nan, flags)]
        expected = goldens.arrays[f"{golden}__avg_overlap"][:, column]
        np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("tracker", TRACKERS)
@pytest.mark.parametrize(("golden", "preset", "nan", "flags"), OF_PYTRACKING)
def test_pytracking_figures(
    goldens: Goldens, golden: str, preset: str, nan: bool, flags: str | None, tracker: str
) -> None:
    expected = goldens.scalars["pytracking"][golden.removeprefix("pytracking__")][tracker]
    rule = get_rule(preset)
    ours = summarize(goldens.scores(rule, tracker, nan, flags), rule)
    fine = replace(rule, success_bins=100)
    figures = {
        "AUC21": ours.auc,
        "AUC101": summarize(goldens.scores(fine, tracker, nan, flags), fine).auc,
        "OP50": ours.op50,
        "OP75": ours.op75,
        "Precision": ours.dp20,
        "NormPrecision": ours.norm_at_20,
    }
    assert {key: 100 * value for key, value in figures.items()} == pytest.approx(expected, abs=2e-5)


@pytest.mark.parametrize("tracker", TRACKERS)
@pytest.mark.parametrize(
    ("variant", "preset", "flags"),
    [
        ("bound_cover", "got10k_val", "cover"),
        ("nobound_cover", "got10k_val_unclipped", "cover"),
        ("nobound_all", "got10k_val_unclipped", None),
    ],
)
def test_got10k_validation(goldens: Goldens, variant: str, preset: str, flags: str | None, tracker: str) -> None:
    rule = get_rule(preset)
    scores = goldens.scores(rule, tracker, flags=flags)
    ours = summarize(scores, rule)
    prefix = f"got10k__got10k_val_{variant}"
    curve, per_sequence = (goldens.arrays[f"{prefix}__{key}__{tracker}"] for key in ("succ101", "per_seq"))
    np.testing.assert_allclose(ours.success, curve, rtol=0, atol=1e-12)
    single = [summarize([score], rule) for score in scores]
    np.testing.assert_allclose([[s.ao, s.sr50, s.sr75] for s in single], per_sequence, rtol=0, atol=1e-12)
    expected = goldens.scalars["got10k"]["got10k_val"][variant][tracker]
    assert [ours.ao, ours.sr50, ours.sr75] == pytest.approx([expected[key] for key in ("ao", "sr50", "sr75")])
    assert sum(score.frames for score in scores) == expected["n_frames"]


@pytest.mark.parametrize("tracker", TRACKERS)
def test_got10k_and_pysot_figures(goldens: Goldens, tracker: str) -> None:
    for case, preset, nan in (("lasot", "got10k_lasot", False), ("lasot_nan", "got10k_lasot", True)):
        ours = summarize(goldens.scores(get_rule(preset), tracker, nan), get_rule(preset))
        expected = goldens.scalars["got10k"][case][tracker]
        assert ours.auc == pytest.approx(expected["success_score"])
        assert ours.dp20 == pytest.approx(expected["precision_score"])
        assert ours.op50 == pytest.approx(expected["success_rate"])
        assert ours.norm_precision_auc == pytest.approx(expected["normalized_precision_score"])
        assert ours.norm_at_20 == pytest.approx(expected["norm_at_0p20"])
    pysot = summarize(goldens.scores(get_rule("pysot"), tracker), get_rule("pysot"))
    expected = goldens.scalars["pysot"]["otb"][tracker]
    assert (pysot.auc, pysot.dp20, pysot.norm_at_20) == pytest.approx(
        (expected["success"], expected["precision20"], expected["norm_precision20"])
    )
    rule = get_rule("lasot_toolkit")
    lasot = summarize(goldens.scores(rule, tracker, flags="visible"), rule)
    expected = goldens.scalars["lasot_rule"][tracker]
    assert (lasot.auc, lasot.dp20, lasot.norm_at_20, lasot.norm_precision_auc) == pytest.approx(
        tuple(expected[key] for key in ("AUC", "precision20", "norm_precision20", "norm_precision_auc"))
    )


@pytest.mark.parametrize("case", [*TRACKERS, "jitter_missing_deer"])
def test_trackingnet(goldens: Goldens, case: str) -> None:
    rule = get_rule("trackingnet")
    scores = []
    for name in goldens.sequences:
        boxes = goldens.prediction(case.removesuffix("_missing_deer"), name)
        boxes = np.array([[float(f"{value:.2f}") for value in row] for row in boxes])  # as it was submitted
        if case.endswith(f"_missing_{name}"):
            boxes = np.zeros_like(boxes)
        scores.append(evaluate_sequence(goldens.truth(name), boxes, rule))
    ours = summarize(scores, rule)
    expected = goldens.scalars["trackingnet"][case]
    assert (100 * ours.auc, 100 * ours.precision_auc, 100 * ours.norm_precision_auc) == pytest.approx(
        (expected["success"], expected["precision"], expected["norm_precision"])
    )


@pytest.mark.parametrize(("case", "change"), [("short5", -5), ("long3", 3)])
def test_pytracking_pads_and_cuts(goldens: Goldens, case: str, change: int) -> None:
    boxes = goldens.prediction("jitter", "crossing")
    boxes = boxes[:change] if change < 0 else np.concatenate([boxes, boxes[-change:]])
    score = evaluate_sequence(goldens.truth("crossing"), boxes, get_rule("otb"))
    ours = summarize([score], get_rule("otb"))
    expected = goldens.scalars["pytracking"]["length_mismatch_crossing_jitter"][case]
    assert (ours.auc, ours.dp20) == pytest.approx((expected["AUC"], expected["P20"]), abs=TOLERANCE)
