"""Reports as text: aligned columns for the terminal, or Markdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from pytracking.analysis.report import Report, SequenceReport, TrackerReport

_Column = tuple[str, Callable[[TrackerReport | SequenceReport], float | None], int]

_COLUMNS: list[_Column] = [
    ("AUC", lambda report: report.summary.auc, 3),
    ("OP50", lambda report: report.summary.op50, 3),
    ("OP75", lambda report: report.summary.op75, 3),
    ("DP20", lambda report: report.summary.dp20, 3),
    ("NormP", lambda report: report.summary.norm_at_20, 3),
    ("AO", lambda report: report.summary.ao, 3),
    ("SR50", lambda report: report.summary.sr50, 3),
    ("SR75", lambda report: report.summary.sr75, 3),
    ("fps", lambda report: report.fps, 1),
]
_PER_SEQUENCE = [column for column in _COLUMNS if column[0] in ("AUC", "DP20", "fps")]


def overview_table(report: Report, *, markdown: bool = False) -> str:
    """One row of means per tracker: AUC, OP50, OP75, DP20, normalised precision at 0.2, AO, SR50, SR75,
    fps."""
    header = ["tracker", *(name for name, _, _ in _COLUMNS)]
    rows = [
        [label, *(_number(value(tracker), digits) for _, value, digits in _COLUMNS)]
        for label, tracker in report.trackers.items()
    ]
    return render(header, rows, markdown=markdown)


def auc_table(report: Report, *, markdown: bool = False) -> str:
    """AUC of every tracker (columns) on every sequence (rows), the mean last."""
    header = ["AUC", *report.trackers]
    rows = [
        [name, *(_number(tracker.sequences[name].summary.auc, 3) for tracker in report.trackers.values())]
        for name in report.sequence_names
    ]
    label = "all frames" if report.rule.pooled else "mean"
    rows.append([label, *(_number(tracker.summary.auc, 3) for tracker in report.trackers.values())])
    return render(header, rows, markdown=markdown)


def sequence_table(report: Report, *, markdown: bool = False) -> str:
    """One row per sequence and tracker: AUC, DP20, fps."""
    header = ["sequence", "tracker", *(name for name, _, _ in _PER_SEQUENCE)]
    rows = [
        [
            name,
            label,
            *(_number(value(tracker.sequences[name]), digits) for _, value, digits in _PER_SEQUENCE),
        ]
        for name in report.sequence_names
        for label, tracker in report.trackers.items()
    ]
    return render(header, rows, markdown=markdown, text_columns=2)


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None or not np.isfinite(value) else f"{value:.{digits}f}"


def render(
    header: Sequence[str], rows: Sequence[Sequence[str]], *, markdown: bool = False, text_columns: int = 1
) -> str:
    """Lay a table out.

    Args:
        header: Column titles.
        rows: Cells, as many per row as there are titles.
        markdown: Markdown instead of aligned text.
        text_columns: Leading columns that hold text and are aligned to the left; the others to the right.

    Returns:
        Lines joined by newlines, without one at the end.
    """
    if markdown:
        rows = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        padded = [
            cell.ljust(width) if i < text_columns else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return f"| {' | '.join(padded)} |" if markdown else "  ".join(padded).rstrip()

    if markdown:
        rule = [
            "-" * max(width, 3) if i < text_columns else "-" * max(width - 1, 2) + ":"
            for i, width in enumerate(widths)
        ]
        separator = f"| {' | '.join(rule)} |"
    else:
        separator = "  ".join("-" * width for width in widths)
    return "\n".join([line(header), separator, *(line(row) for row in rows)])
