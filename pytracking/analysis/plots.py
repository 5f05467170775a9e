"""Success, precision and normalised precision plots as PNG and PDF, legible in print and to the
colour-blind."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ltr.admin.errors import UserError
from ltr.admin.files import atomic_write, writable_dir
from pytracking.analysis.report import Report

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe & Ito's palette without its yellow (too pale on white). Lines of one colour differ in their dashes,
# so that more trackers than colours, and prints in grey, stay readable.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_DASHES = ("solid", (0, (5, 2)), (0, (1.2, 1.4)), (0, (5, 1.5, 1.2, 1.5)))
_INSIDE = 8  # trackers whose legend still fits into the axes


@dataclass(frozen=True)
class Curve:
    """One plot: file stem, title, axis labels, thresholds, curves and the figure each legend entry shows."""

    stem: str
    title: str
    x_label: str
    y_label: str
    x: np.ndarray
    curves: dict[str, np.ndarray]
    figures: dict[str, float]


def curves(report: Report) -> list[Curve]:
    """The three plots of a report, as data."""
    trackers, rule = report.trackers, report.rule
    return [
        Curve(
            "success",
            "Success (AUC)",
            "Overlap threshold",
            "Share of frames above threshold",
            rule.overlap_thresholds,
            {label: t.summary.success for label, t in trackers.items()},
            {label: t.summary.auc for label, t in trackers.items()},
        ),
        Curve(
            "precision",
            "Precision (at 20 pixels)",
            "Centre error threshold [pixels]",
            "Share of frames within threshold",
            rule.pixel_thresholds,
            {label: t.summary.precision for label, t in trackers.items()},
            {label: t.summary.dp20 for label, t in trackers.items()},
        ),
        Curve(
            "norm_precision",
            "Normalised precision (at 0.2)",
            "Centre error threshold [target sizes]",
            "Share of frames within threshold",
            rule.norm_thresholds,
            {label: t.summary.norm_precision for label, t in trackers.items()},
            {label: t.summary.norm_at_20 for label, t in trackers.items()},
        ),
    ]


def save_plots(report: Report, folder: str | PathLike[str]) -> list[Path]:
    """Write success, precision and norm_precision as .png and .pdf.

    Args:
        report: What to plot.
        folder: Created where need be; files of these names are replaced.

    Returns:
        Paths of the six files.

    Raises:
        UserError: The folder cannot be written to, or matplotlib is not installed.
    """
    target = writable_dir(folder)
    paths = []
    for curve in curves(report):
        figure = draw(curve, report.dataset)
        for path, content in _encoded(figure, target / curve.stem):
            with atomic_write(path, "wb") as file:
                file.write(content)
            paths.append(path)
    return paths


def style(index: int) -> tuple[str, object]:
    """Colour and dashes of the tracker at that place of the command line; the first 28 are all different."""
    return _COLOURS[index % len(_COLOURS)], _DASHES[index % len(_DASHES)]  # 7 and 4 have no common divisor


def draw(curve: Curve, dataset: str) -> Figure:
    """A figure that belongs to no window and no pyplot state; the best tracker is on top of the legend."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UserError("plots need matplotlib: pip install matplotlib") from error
    count = len(curve.curves)
    figure = Figure(figsize=(6.4 if count <= _INSIDE else 9.0, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    # Styles follow the order of the command line, so a tracker looks the same in all three plots.
    styles = {label: style(index) for index, label in enumerate(curve.curves)}
    order = sorted(curve.curves, key=lambda label: -curve.figures[label])
    for rank, label in enumerate(order):
        colour, dashes = styles[label]
        axes.plot(
            curve.x,
            curve.curves[label],
            color=colour,
            linestyle=dashes,
            linewidth=2.0,
            label=f"{label} [{curve.figures[label]:.3f}]",
            zorder=3 + count - rank,
        )
    top = max(1.0, max(float(y.max()) for y in curve.curves.values()))
    axes.set(
        title=f"{curve.title} on {dataset}",
        xlabel=curve.x_label,
        ylabel=curve.y_label,
        xlim=(float(curve.x[0]), float(curve.x[-1])),
        ylim=(0.0, 1.02 * top),
    )
    axes.grid(True, color="#D0D0D0", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    if count <= _INSIDE:
        axes.legend(loc="best", fontsize=9, framealpha=0.9, handlelength=3.2)
    else:
        axes.legend(
            loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=9, frameon=False, handlelength=3.2
        )
    return figure


def _encoded(figure: Figure, stem: Path) -> Iterator[tuple[Path, bytes]]:
    for suffix, options in ((".png", {"dpi": 150}), (".pdf", {"metadata": {"CreationDate": None}})):
        buffer = io.BytesIO()
        figure.savefig(buffer, format=suffix[1:], **options)  # type: ignore[arg-type]
        yield stem.with_name(stem.name + suffix), buffer.getvalue()
