"""Results of trackers from their files: which are there, which are not, and the command that makes them."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Iterable, Mapping
from collections.abc import Sequence as Seq
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from ltr.admin.errors import UsageError, UserError, near_misses
from pytracking.analysis.frames import annotated_length
from pytracking.analysis.rules import EvaluationRule
from pytracking.evaluation.results import ResultStore, SequenceResult
from pytracking.evaluation.sequence import Sequence

logger = logging.getLogger(__name__)

_NAMED = 10  # sequences a message lists by name


@dataclass(frozen=True)
class ResultSpec:
    """Whose results: a tracker, its parameter file and the repetition (None for the plain run)."""

    tracker: str
    parameter: str
    run_id: int | None = None

    @classmethod
    def parse(cls, text: str) -> ResultSpec:
        """`tracker:parameter[:runid]`.

        Raises:
            UsageError: Another form.
        """
        parts = text.split(":")
        if not 2 <= len(parts) <= 3 or not all(parts) or (len(parts) == 3 and not parts[2].isdecimal()):
            raise UsageError(
                f"'{text}' is not <tracker>:<parameter> or <tracker>:<parameter>:<run id>; "
                "an example is edcf:default or edcf:default:3"
            )
        return cls(parts[0], parts[1], int(parts[2]) if len(parts) == 3 else None)

    def __str__(self) -> str:
        return f"{self.tracker}:{self.parameter}" + ("" if self.run_id is None else f":{self.run_id}")


@dataclass(frozen=True)
class Source:
    """Where results and data come from, as far as the advice in messages needs it.

    Attributes:
        dataset: Name of the data set.
        results: Root folder of the results of all trackers.
        dataset_path: Folder of the data set, None for the configured one.
    """

    dataset: str
    results: Path
    dataset_path: str | PathLike[str] | None = None

    def store(self, spec: ResultSpec) -> ResultStore:
        """The results of one tracker."""
        return ResultStore(self.results, spec.tracker, spec.parameter, spec.run_id)

    def run_command(self, spec: ResultSpec) -> str:
        """The shell command that computes what is missing (whole results are not computed again)."""
        words = ["pytracking-run", spec.tracker, spec.parameter, self.dataset]
        if self.dataset_path is not None:
            words += ["--dataset_path", str(self.dataset_path)]
        words += ["--results", str(self.results)]
        if spec.run_id is not None:
            words += ["--runid", str(spec.run_id)]
        return shlex.join(words)


@dataclass(frozen=True)
class LoadedResults:
    """Results of all trackers on the sequences that every one of them has.

    Attributes:
        sequences: The sequences to evaluate, in order.
        results: Tracker -> sequence name -> result.
        left_out: Name -> why, for sequences without a result of every tracker (only with `skip_missing`).
    """

    sequences: list[Sequence]
    results: dict[ResultSpec, dict[str, SequenceResult]]
    left_out: dict[str, str]


def load_results(
    sequences: Iterable[Sequence],
    specs: Seq[ResultSpec],
    source: Source,
    rule: EvaluationRule,
    *,
    skip_missing: bool = False,
) -> LoadedResults:
    """Read the result files of every tracker for every sequence.

    A result is missing when there is no file, when the run failed part-way (only a `.partial.txt`) or, under
    rules that take no shorter result, when it has fewer rows than annotated frames. Under the other rules a
    shorter one is scored as the rule says, with a warning.

    Args:
        sequences: Sequences of one data set.
        specs: Trackers to compare.
        source: Where the files are.
        rule: The evaluation rule.
        skip_missing: Leave sequences that miss a result of any tracker out for all of them, so that means
            stay comparable, instead of raising.

    Raises:
        UserError: Missing or broken results (all of them are named, with the command that makes them), or
            nothing is left to evaluate.
    """
    sequences = list(sequences)
    results: dict[ResultSpec, dict[str, SequenceResult]] = {}
    missing: dict[ResultSpec, dict[str, str]] = {}
    for spec in specs:
        results[spec], missing[spec] = {}, {}
        store = source.store(spec)
        for sequence in sequences:
            try:
                results[spec][sequence.name] = _read(store, sequence, spec, source, rule)
            except _Missing as reason:
                missing[spec][sequence.name] = str(reason)
    missing = {spec: names for spec, names in missing.items() if names}
    if missing and not skip_missing:
        raise UserError(_missing_message(missing, len(sequences), source))
    left_out = {name: f"{spec}: {why}" for spec, names in missing.items() for name, why in names.items()}
    kept = [sequence for sequence in sequences if sequence.name not in left_out]
    if not kept:
        raise UserError(
            f"no sequence has a result of every tracker; --skip_missing leaves nothing to evaluate.\n"
            f"{_missing_message(missing, len(sequences), source)}"
        )
    if left_out:
        logger.warning(
            "left out for all trackers (--skip_missing): %s",
            "; ".join(f"{name} ({why})" for name, why in sorted(left_out.items())),
        )
    return LoadedResults(kept, results, left_out)


class _Missing(Exception):
    """A result that cannot be used; the message is the reason."""


def _read(
    store: ResultStore, sequence: Sequence, spec: ResultSpec, source: Source, rule: EvaluationRule
) -> SequenceResult:
    path = store.file(sequence.name)
    if not path.is_file():
        if store.file(sequence.name, ".partial").is_file():
            raise _Missing("the run failed part-way")
        raise _Missing("no result file")
    try:
        result = store.read(sequence.name)
    except UserError as error:
        raise _Missing(f"unreadable ({error})") from error
    rows, needed = len(result.boxes), annotated_length(sequence.ground_truth_rect, rule)
    if rows < needed:
        if rule.length_mismatch == "error":
            raise _Missing(f"incomplete, {rows} of {needed} frames")
        consequence = (
            "only these are scored"
            if rule.length_mismatch == "cut"
            else "the missing ones are scored as failures"
        )
        logger.warning(
            "%s: %s has %d of %d frames; %s (rule '%s'). To complete it: %s",
            spec,
            path,
            rows,
            needed,
            consequence,
            rule.name,
            source.run_command(spec),
        )
    elif rows > len(sequence.ground_truth_rect):
        logger.warning(
            "%s: %s has %d frames, the sequence %d; the last %d are ignored. Does it belong to another "
            "version of the data set?",
            spec,
            path,
            rows,
            len(sequence),
            rows - len(sequence),
        )
    return result


def _missing_message(missing: Mapping[ResultSpec, Mapping[str, str]], total: int, source: Source) -> str:
    lines = []
    for spec, names in missing.items():
        folder = source.store(spec).folder
        lines.append(f"{spec}: {len(names)} of {total} results are missing in {folder}")
        if len(names) == total:
            lines += _other_results(spec, source)
        by_reason: dict[str, list[str]] = {}
        for name, why in names.items():
            by_reason.setdefault(why, []).append(name)
        for why, group in by_reason.items():
            more = f" and {len(group) - _NAMED} more" if len(group) > _NAMED else ""
            lines.append(f"  {why}: {', '.join(group[:_NAMED])}{more}")
        lines.append(f"  to make them: {source.run_command(spec)}")
    lines.append("or evaluate what all trackers have with --skip_missing")
    return "\n".join(lines)


def _other_results(spec: ResultSpec, source: Source) -> list[str]:
    """What the results folder does hold, when a tracker has nothing at all there."""
    if not source.results.is_dir():
        return [f"  the results folder {source.results} does not exist; give another one with --results"]
    present = sorted(
        f"{folder.parent.name}:{folder.name}" for folder in source.results.glob("*/*") if folder.is_dir()
    )
    near = near_misses(str(spec), present)
    if near:
        return [f"  did you mean {' or '.join(near)}?"]
    return [f"  that folder has results of {', '.join(present[:_NAMED]) or 'no tracker'}"]
