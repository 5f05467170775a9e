"""From result files to figures: `analyze` is the whole of `run_analysis.py` without its printing."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from collections.abc import Sequence as Seq
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from ltr.admin.errors import UsageError, UserError, unknown_name
from ltr.admin.paths import results_dir
from pytracking.analysis.frames import frame_errors
from pytracking.analysis.load import LoadedResults, ResultSpec, Source, load_results
from pytracking.analysis.metrics import SequenceScore, Summary, score_frames, summarize
from pytracking.analysis.rules import EvaluationRule, get_rule, rule_for_dataset
from pytracking.evaluation.datasets.registry import get_dataset
from pytracking.evaluation.results import SequenceResult
from pytracking.evaluation.sequence import Sequence

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SequenceReport:
    """One tracker on one sequence: its figures and speed (None without times)."""

    summary: Summary
    fps: float | None


@dataclass(frozen=True)
class TrackerReport:
    """One tracker on the data set: figures, speed and the same for every sequence."""

    summary: Summary
    fps: float | None
    sequences: dict[str, SequenceReport]


@dataclass(frozen=True)
class Report:
    """A comparison of trackers on one data set under one rule.

    Attributes:
        dataset: Name of the data set.
        rule: The evaluation rule used.
        trackers: Label (`edcf:default`, `edcf:default:3`) -> figures, in the order asked for.
        left_out: Sequences in no figure -> why.
    """

    dataset: str
    rule: EvaluationRule
    trackers: dict[str, TrackerReport]
    left_out: dict[str, str]

    @property
    def sequence_names(self) -> list[str]:
        """Names of the evaluated sequences, in order."""
        return list(next(iter(self.trackers.values())).sequences)

    def to_dict(self) -> dict[str, Any]:
        """The JSON of `run_analysis.py --json`: fractions in [0, 1], frames/s, null for what is not known."""
        return {
            "dataset": self.dataset,
            "trackers": {
                label: _figures(report.summary, report.fps, _TRACKER_FIGURES)
                | {
                    "sequences": {
                        name: _figures(one.summary, one.fps, _SEQUENCE_FIGURES)
                        for name, one in report.sequences.items()
                    }
                }
                for label, report in self.trackers.items()
            },
        }


_TRACKER_FIGURES = {
    "auc": "auc",
    "op50": "op50",
    "op75": "op75",
    "dp20": "dp20",
    "norm_precision": "norm_at_20",
    "ao": "ao",
    "sr50": "sr50",
    "sr75": "sr75",
}
_SEQUENCE_FIGURES = {"auc": "auc", "dp20": "dp20"}


def _figures(summary: Summary, fps: float | None, names: dict[str, str]) -> dict[str, Any]:
    figures = {key: float(getattr(summary, name)) for key, name in names.items()} | {"fps": fps}
    return {key: None if value is None or not np.isfinite(value) else value for key, value in figures.items()}


def analyze(
    dataset: str | Iterable[Sequence],
    trackers: Iterable[str | ResultSpec],
    *,
    dataset_path: str | PathLike[str] | None = None,
    results: str | PathLike[str] | None = None,
    rule: str | EvaluationRule | None = None,
    sequences: Seq[str] = (),
    skip_missing: bool = False,
) -> Report:
    """Evaluate the stored results of trackers on a data set.

    The default rule is pytracking's: preset `otb` for `otb`, `folder`, `synthetic` and all data sets without
    a rule of their own (`rules.rule_for_dataset`). Under it rows of NaN in the ground truth, such as the
    frames beyond the last annotated one, are in no figure. A sequence with no annotated frame after the
    first cannot be evaluated and is left out with a warning.

    Args:
        dataset: Name of a data set, or sequences of one.
        trackers: Whose results, each as "tracker:parameter[:runid]".
        dataset_path: Folder of the data set; None takes the configured one.
        results: Folder of all results; None takes the configured one.
        rule: Name of a preset or a rule of your own; None for the data set's.
        sequences: Names of the sequences to evaluate; none given means all.
        skip_missing: Leave sequences without a result of every tracker out for all, instead of raising.

    Returns:
        Figures per tracker and sequence. Frames per second: frames tracked / seconds taken, over the frames
        after the initialisation, whose time is in neither; a tracker's pools all its sequences.

    Raises:
        UserError: Results are missing or do not fit, nothing can be evaluated; names are unknown
            (UsageError).
    """
    specs = [ResultSpec.parse(item) if isinstance(item, str) else item for item in trackers]
    if not specs:
        raise UsageError("no tracker given; name at least one as <tracker>:<parameter>")
    specs = list(dict.fromkeys(specs))
    chosen = get_dataset(dataset, dataset_path) if isinstance(dataset, str) else list(dataset)
    if not chosen:
        raise UserError("there are no sequences to evaluate")
    name = dataset if isinstance(dataset, str) else chosen[0].dataset
    if sequences:
        chosen = _select(chosen, sequences)
    if not isinstance(rule, EvaluationRule):
        rule = rule_for_dataset(name) if rule is None else get_rule(rule)
    source = Source(name, Path(results).expanduser() if results is not None else results_dir(), dataset_path)
    annotated, left_out = _annotated(chosen)
    loaded = load_results(annotated, specs, source, rule, skip_missing=skip_missing)
    sizes = _image_sizes(loaded, rule)
    reports = {str(spec): _tracker_report(spec, loaded, rule, sizes) for spec in specs}
    _warn_invalid(loaded.sequences, rule)
    return Report(name, rule, reports, left_out | loaded.left_out)


def _select(available: Iterable[Sequence], names: Seq[str]) -> list[Sequence]:
    by_name = {sequence.name: sequence for sequence in available}
    for wanted in names:
        if wanted not in by_name:
            raise unknown_name("sequence", wanted, by_name)
    return [by_name[wanted] for wanted in dict.fromkeys(names)]


def _annotated(sequences: Iterable[Sequence]) -> tuple[list[Sequence], dict[str, str]]:
    kept, left_out = [], {}
    for sequence in sequences:
        if np.isfinite(sequence.ground_truth_rect[1:]).all(axis=1).any():
            kept.append(sequence)
        else:
            left_out[sequence.name] = "no frame after the first is annotated"
    if not kept:
        raise UserError(
            "none of the sequences has an annotated frame after the first (a test set whose annotation is "
            "withheld?), so nothing can be evaluated; add lines to their ground truth files"
        )
    if left_out:
        logger.warning("left out, no frame after the first is annotated: %s", ", ".join(left_out))
    return kept, left_out


def _image_sizes(loaded: LoadedResults, rule: EvaluationRule) -> dict[str, tuple[int, int]]:
    """Name -> (width, height); frames are read only for rules that need it."""
    if not rule.clip_to_image:
        return {}
    sizes = {}
    for sequence in loaded.sequences:
        try:
            height, width = sequence.image(0).shape[:2]
        except UserError as error:
            raise UserError(
                f"the rule '{rule.name}' clips boxes to the image and must read one: {error}; without "
                f"images use --rule got10k_val_unclipped"
            ) from error
        sizes[sequence.name] = (width, height)
    return sizes


def _tracker_report(
    spec: ResultSpec, loaded: LoadedResults, rule: EvaluationRule, sizes: dict[str, tuple[int, int]]
) -> TrackerReport:
    scores: list[SequenceScore] = []
    sequences: dict[str, SequenceReport] = {}
    frames, seconds = 0, 0.0
    for sequence in loaded.sequences:
        result = loaded.results[spec][sequence.name]
        try:
            errors = frame_errors(
                sequence.ground_truth_rect,
                result.boxes,
                rule,
                visible=sequence.target_visible,
                image_size=sizes.get(sequence.name),
            )
            score = score_frames(errors, rule)
        except ValueError as error:
            raise UserError(f"{spec}, sequence '{sequence.name}': {error}") from error
        counted, taken = _timed(result)
        frames, seconds = frames + counted, seconds + taken
        scores.append(score)
        sequences[sequence.name] = SequenceReport(summarize([score], rule), _fps(counted, taken))
    return TrackerReport(summarize(scores, rule), _fps(frames, seconds), sequences)


def _timed(result: SequenceResult) -> tuple[int, float]:
    """(frames, seconds) after the initialisation; zeros where the times are absent or no times."""
    if result.times is None or len(result.times) < 2:
        return 0, 0.0
    taken = float(np.sum(result.times[1:]))
    return (len(result.times) - 1, taken) if np.isfinite(taken) and taken > 0 else (0, 0.0)


def _fps(frames: int, seconds: float) -> float | None:
    return frames / seconds if seconds > 0 else None


def _warn_invalid(sequences: Iterable[Sequence], rule: EvaluationRule) -> None:
    """Tell where a rule counts annotated frames as failures because of where the box lies."""
    if rule.valid_annotation != "positive_xywh" or rule.denominator != "all":
        return
    counts = {}
    for sequence in sequences:
        boxes = sequence.ground_truth_rect
        border = (boxes[:, 2:] > 0).all(axis=1) & (boxes[:, :2] <= 0).any(axis=1)
        if border.any():
            counts[sequence.name] = int(border.sum())
    if counts:
        logger.warning(
            "under the rule '%s' boxes that touch or leave the left or top border (x or y <= 0) count as "
            "failures: %d frames of %s. --rule got10k_otb counts them as any other",
            rule.name,
            sum(counts.values()),
            ", ".join(f"{name} ({count})" for name, count in counts.items()),
        )
