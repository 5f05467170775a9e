"""A picture of a training: every figure of its log over the epochs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from ltr.admin.errors import UserError
from ltr.admin.files import atomic_write
from ltr.trainers.logs import read_log

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TRAIN_COLOUR, VAL_COLOUR, OTHER_COLOUR = "#3a78b5", "#d95f02", "#555555"

Points = list[tuple[int, float]]


def read_curves(path: Path) -> dict[str, dict[str, Points]]:
    """The figures of a ``log.csv``.

    Returns:
        By figure (``loss``, its parts, ``lr``) and phase (``train``, ``val``, or an empty name for what has
        none), pairs of epoch and value; values that are not finite are left out.

    Raises:
        UserError: The file cannot be read, is no training log or has no epoch.
    """
    rows = read_log(path)
    if not rows:
        raise UserError(f"{path} has no epoch yet: nothing to draw")
    curves: dict[str, dict[str, Points]] = {"loss": {}}
    for row in rows:
        for column, text in row.items():
            phase, _, figure = column.partition("_")
            if phase not in ("train", "val") or not figure:
                phase, figure = "", column
            if figure in ("epoch", "step", "seconds", "samples_per_s", "data_wait") or not text:
                continue
            try:
                value = float(text)
            except ValueError:
                raise UserError(f"{path}, column '{column}': '{text}' is not a number") from None
            if math.isfinite(value):
                curves.setdefault(figure, {}).setdefault(phase, []).append((int(row["epoch"]), value))
    return {figure: phases for figure, phases in curves.items() if phases}


def draw_curve(log_file: Path, picture: Path, title: str = "") -> Path:
    """Draws the curves of a log: one panel for each figure, training and validation together.

    Args:
        log_file: A ``log.csv``.
        picture: File to write; its suffix (png, pdf, svg) is the format.
        title: Line above the panels.

    Returns:
        ``picture``.

    Raises:
        UserError: See ``read_curves``; or the picture cannot be written in that place or format.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    curves = read_curves(log_file)
    columns = len(curves) if len(curves) < 3 else 2 if len(curves) == 4 else 3
    rows = math.ceil(len(curves) / columns)
    figure = Figure(figsize=(4.2 * columns, 2.9 * rows + 0.4), layout="constrained")
    canvas = FigureCanvasAgg(figure)  # no window, and no state of pyplot
    panels = figure.subplots(rows, columns, squeeze=False).flatten()
    for panel, (name, phases) in zip(panels, curves.items(), strict=False):
        _draw_panel(panel, name, phases)
    for panel in panels[len(curves) :]:
        panel.set_axis_off()
    if title:
        figure.suptitle(title, fontsize=11)
    kind = picture.suffix.lstrip(".").lower() or "png"
    if kind not in canvas.get_supported_filetypes():
        raise UserError(f"{picture}: a picture cannot be written as '.{kind}'; use .png, .pdf or .svg")
    with atomic_write(picture, "wb") as file:
        figure.savefig(file, format=kind, dpi=110)
    return picture


def _draw_panel(panel: Axes, name: str, phases: dict[str, Points]) -> None:
    from matplotlib.ticker import MaxNLocator

    colours = {"train": TRAIN_COLOUR, "val": VAL_COLOUR, "": OTHER_COLOUR}
    labels = {"train": "training", "val": "validation", "": None}
    values = [value for points in phases.values() for _, value in points]
    for phase, points in phases.items():
        epochs, heights = zip(*points, strict=True)
        marker = "o" if len(points) <= 20 else None
        panel.plot(epochs, heights, color=colours[phase], label=labels[phase], linewidth=1.6, marker=marker, ms=3.5)
    if min(values) > 0 and max(values) > 10 * min(values):
        panel.set_yscale("log")
    panel.set_title(name, fontsize=10)
    panel.set_xlabel("epoch", fontsize=9)
    panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    panel.tick_params(labelsize=8)
    panel.grid(True, alpha=0.25)
    panel.spines[["top", "right"]].set_visible(False)
    if "train" in phases and "val" in phases:
        panel.legend(frameon=False, fontsize=8)
