"""Error against training cost: what the M networks for free cost, beside those that are paid for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from snapshot_cli.reporting.figures.lines import draw_line
from snapshot_cli.reporting.figures.style import (
    HEIGHT,
    LABEL_SIZE,
    WIDTH,
    LineEnd,
    blank_figure,
    darker,
    look,
    name_ends,
    style,
    wrapped,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class CostCurve:
    """Hold a method's errors in percent at costs in full budgets; several points are joined by a line.

    `names` are written beside the points (such as the sizes of true ensembles), or empty; `spreads` as in `Curve`.
    """

    label: str
    method: str
    alpha0: float | None
    costs: Sequence[float]
    errors: Sequence[float]
    names: Sequence[str] = ()
    spreads: Sequence[float] = ()


def cost(curves: Sequence[CostCurve], *, title: str) -> Figure:
    """Draw error (%) against training cost in full budgets.

    Methods of one point are named left of the axes, where one budget is. Lines begin there too and fall, so the room
    for their names is at the upper right.
    """
    with style():
        figure = blank_figure(WIDTH, HEIGHT + 0.3)
        axes = figure.add_subplot()
        axes.set_title(wrapped(title, 1), loc="right")
        ends = [_draw(axes, curve) for curve in curves]
        lines = [curve for curve in curves if len(curve.costs) > 1]
        _dress(axes, curves, names=len(lines))
        for curve in lines:
            if curve.names:
                _name_points(axes, curve)
        if lines:
            _name_lines(axes, lines)
        name_ends(axes, [end for curve, end in zip(curves, ends, strict=True) if curve not in lines], side="left")
    return figure


def _draw(axes: Axes, curve: CostCurve) -> LineEnd:
    colours = look(curve.method, curve.alpha0)
    return draw_line(axes, curve.label, colours=colours, x=curve.costs, y=curve.errors, spreads=curve.spreads)


def _name_points(axes: Axes, curve: CostCurve) -> None:
    """Write the names of a line's points right of them: above where it falls or ends, below where it rises."""
    colour, _ = look(curve.method, curve.alpha0)
    nexts = [*curve.errors[1:], curve.errors[-1]]
    for place, name, after in zip(zip(curve.costs, curve.errors, strict=True), curve.names, nexts, strict=True):
        below = after > place[1]
        axes.annotate(
            name, xy=place, xytext=(2, -2 if below else 2), textcoords="offset points", color=darker(colour),
            fontsize=LABEL_SIZE - 1, ha="left", va="top" if below else "bottom",
        )  # fmt: skip


def _name_lines(axes: Axes, lines: Sequence[CostCurve]) -> None:
    """Write the names of the lines where no line is, in their colours."""
    drawn = {line.get_label(): line for line in axes.get_lines()}
    axes.legend(
        [drawn[curve.label] for curve in lines],
        [curve.label for curve in lines],
        labelcolor=[darker(look(curve.method, curve.alpha0)[0]) for curve in lines],
        loc="upper right",
        frameon=False,
        borderaxespad=0,
    )


def _dress(axes: Axes, curves: Sequence[CostCurve], *, names: int) -> None:
    """Move the y axis to the right, as names stand left, and leave room above for the names of lines."""
    costs = {cost for curve in curves for cost in curve.costs}
    cheapest, dearest = min(costs), max(2.0, *costs)
    axes.set_xlim(cheapest - 0.06 * dearest, dearest + 0.06 * dearest)
    axes.margins(y=0.08)
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + 0.1 * names * (high - low))
    axes.set_xticks(sorted({cost for cost in costs if cost == int(cost)}))
    axes.yaxis.tick_right()
    axes.yaxis.set_label_position("right")
    axes.spines["left"].set_visible(False)
    axes.spines["right"].set_visible(True)
    axes.set_xlabel("Training cost (full budgets)")
    axes.set_ylabel("Error (%)")
