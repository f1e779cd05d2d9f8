"""Reliability diagrams: accuracy against confidence, with the examples in each bin."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from snapshot_cli.analysis.metrics import Array, Reliability, calibration_error
from snapshot_cli.reporting.figures.style import TEXT_WIDTH, WIDTH, blank_figure, look, style, wrapped

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


GAP: dict[str, Any] = {"facecolor": "none", "edgecolor": "#b3261e", "hatch": "/////", "linewidth": 0.6}
DIAGONAL: dict[str, Any] = {"color": "#777777", "linestyle": (0, (3, 2)), "linewidth": 0.8}


@dataclass(frozen=True)
class CalibrationPanel:
    """Hold one panel: a method and the reliability of its predictions in equal-width bins over 0 to 1."""

    title: str
    method: str
    alpha0: float | None
    reliability: Reliability


def calibration(panels: Sequence[CalibrationPanel], *, columns: int = 3) -> Figure:
    """Draw a reliability diagram a panel, with its ECE, above the share of examples in each bin.

    Bars are accuracies; the outlined part between a bar and the diagonal is the gap to the mean confidence.
    """
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    with style():
        figure = blank_figure(WIDTH if len(panels) == 1 else TEXT_WIDTH, 3.0 * rows)
        grid = figure.add_gridspec(2 * rows, columns, height_ratios=[3, 1] * rows)
        top = math.ceil(10 * max(float(_shares(panel.reliability).max()) for panel in panels)) / 10
        for place, panel in enumerate(panels):
            row, column = divmod(place, columns)
            above = figure.add_subplot(grid[2 * row, column])
            below = figure.add_subplot(grid[2 * row + 1, column], sharex=above)
            above.set_title(f"{wrapped(panel.title, columns)}\nECE {100 * calibration_error(panel.reliability):.1f} %")
            _draw_reliability(above, panel)
            _draw_shares(below, panel, top)
            above.set_ylabel("Accuracy" if column == 0 else "")
            below.set_ylabel("Examples (%)" if column == 0 else "")
        figure.legend(handles=_handles(), loc="outside lower center", ncols=3, frameon=False)
    return figure


def _draw_reliability(axes: Axes, panel: CalibrationPanel) -> None:
    table = panel.reliability
    filled = table.count > 0
    left, width = _bins(table)
    colour, _ = look(panel.method, panel.alpha0)
    accuracy, confidence = table.accuracy[filled], table.confidence[filled]
    axes.bar(left[filled], accuracy, width, align="edge", color=colour, alpha=0.75, linewidth=0, label="accuracy")
    axes.bar(
        left[filled], confidence - accuracy, width, accuracy, align="edge", label="gap", **GAP,
    )  # fmt: skip
    axes.plot([0, 1], [0, 1], label="perfect", **DIAGONAL)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_yticks([0, 0.5, 1])
    axes.tick_params(labelbottom=False)


def _draw_shares(axes: Axes, panel: CalibrationPanel, top: float) -> None:
    left, width = _bins(panel.reliability)
    shares = 100 * _shares(panel.reliability)
    axes.bar(left, shares, width, align="edge", color="#9a9a9a", edgecolor="white", linewidth=0.4, label="examples")
    axes.set_ylim(0, 100 * top)
    axes.set_yticks([0, round(100 * top)])
    axes.set_xticks([0, 0.5, 1])
    axes.set_xlabel("Confidence")


def _shares(table: Reliability) -> Array:
    """Return the share of the examples in each bin."""
    shares: Array = table.count / table.count.sum()
    return shares


def _handles() -> list[Artist]:
    """Return what the legend shows: the parts that all panels have in common."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    return [
        Patch(facecolor="#bbbbbb", label="accuracy"),
        Patch(**GAP, label="gap to the mean confidence"),
        Line2D([], [], **DIAGONAL, label="accuracy = confidence"),
    ]


def _bins(table: Reliability) -> tuple[Array, float]:
    """Return the left edges of the bins and their width."""
    bins = len(table.count)
    return np.arange(bins) / bins, 1 / bins
