"""What the figures' lines are made of: curves over any x, the paper's points, and how both are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from snapshot_cli.reporting.figures.style import LineEnd, look

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PAPER_COLOUR = "#8a8a8a"
DASHED = (0, (4, 2.5))


@dataclass(frozen=True)
class PaperPoint:
    """Hold a number of the paper: where it stands on the x axis, its error (or loss), and give or take how much."""

    x: float
    error: float
    uncertainty: float | None = None


@dataclass(frozen=True)
class Curve:
    """Hold a line of a figure: its name, what fixes its colour, errors in percent for sizes 1, 2, ..., the paper's.

    `spreads` are half intervals over seeds, one an error, or empty for one seed; `paper` may know only some sizes.
    """

    label: str
    method: str
    alpha0: float | None
    errors: Sequence[float]
    spreads: Sequence[float] = ()
    paper: Sequence[PaperPoint] = ()


@dataclass(frozen=True)
class BudgetCurve:
    """Hold a method's errors in percent at training budgets in epochs; `spreads` and `paper` as in `Curve`."""

    label: str
    method: str
    alpha0: float | None
    budgets: Sequence[float]
    errors: Sequence[float]
    spreads: Sequence[float] = ()
    paper: Sequence[PaperPoint] = ()


def draw_line(
    axes: Axes,
    label: str,
    *,
    colours: tuple[str, str],
    x: Sequence[float],
    y: Sequence[float],
    spreads: Sequence[float] = (),
) -> LineEnd:
    """Draw a line with markers and, where there are spreads, its interval as a pale band; return its end.

    `colours` are those of `style.look`. The end is the last point that is not NaN, or NaN where all are.
    """
    colour, marker = colours
    axes.plot(x, y, color=colour, marker=marker, markeredgewidth=_edge(marker), label=label, clip_on=False)
    if spreads:
        middle, half = np.asarray(y, dtype=float), np.asarray(spreads, dtype=float)
        axes.fill_between(x, middle - half, middle + half, color=colour, alpha=0.1, linewidth=0)
    known = [(place, value) for place, value in zip(x, y, strict=True) if value == value]
    return LineEnd(label, colour, *(known[-1] if known else (x[-1], float("nan"))))


def draw_level(axes: Axes, label: str, colour: str, level: float) -> LineEnd:
    """Draw a dashed line across the axes and return its end, at the right of the axes as they stand."""
    axes.axhline(level, color=colour, linestyle=DASHED, linewidth=1.1, label=label, zorder=1.5)
    return LineEnd(label, colour, axes.get_xlim()[1], level)


def draw_paper(axes: Axes, points: Sequence[PaperPoint], *, method: str, alpha0: float | None) -> None:
    """Draw the paper's numbers as hollow grey markers of the method's shape, with bars where they were read off."""
    if not points:
        return
    bars = [point.uncertainty or float("nan") for point in points]
    axes.errorbar(
        [point.x for point in points],
        [point.error for point in points],
        yerr=bars,
        linestyle="none",
        marker=_hollow(look(method, alpha0)[1]),
        markersize=5.5,
        markerfacecolor="none",
        markeredgecolor=PAPER_COLOUR,
        markeredgewidth=0.9,
        ecolor=PAPER_COLOUR,
        elinewidth=0.8,
        label="_paper",
        clip_on=False,
        zorder=3,
    )


def explain_paper(axes: Axes) -> None:
    """Say once in the axes what the hollow markers are."""
    from matplotlib.lines import Line2D

    handle = Line2D([], [], linestyle="none", marker="o", markersize=5.5, markerfacecolor="none")
    handle.set(markeredgecolor=PAPER_COLOUR, markeredgewidth=0.9)
    axes.legend([handle], ["the paper's"], loc="best", frameon=False, handletextpad=0.1, borderaxespad=0)


def _hollow(marker: str) -> str:
    """Return a shape that can be hollow."""
    return "o" if marker == "x" else marker


def _edge(marker: str) -> float:
    """Return the width of a marker's edge: a cross is nothing but edge."""
    return 1.1 if marker == "x" else 0
