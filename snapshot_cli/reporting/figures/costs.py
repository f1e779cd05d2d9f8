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
    named,
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


def cost(curves: Sequence[CostCurve], *, title: str, measure: str = "Error (%)") -> Figure:
    """Draw error (or another measure) against training cost in full budgets.

    Methods of one point are named left of the axes, where one budget is. Lines fall and flatten, so the highest has
    free space above and right of it and the others below and left: there their names and those of their points are.
    """
    with style():
        figure = blank_figure(WIDTH, HEIGHT + 0.3)
        axes = figure.add_subplot()
        axes.set_title(wrapped(title, 1))
        ends = [_draw(axes, curve) for curve in curves]
        lines = [curve for curve in curves if len(curve.costs) > 1]
        highest = max(lines, key=lambda curve: curve.errors[1], default=None)
        _dress(axes, curves, measure)
        for curve in lines:
            _name_line(axes, curve, above=curve is highest)
        name_ends(axes, [end for curve, end in zip(curves, ends, strict=True) if curve not in lines], side="left")
    return figure


def _draw(axes: Axes, curve: CostCurve) -> LineEnd:
    colours = look(curve.method, curve.alpha0)
    return draw_line(axes, curve.label, colours=colours, x=curve.costs, y=curve.errors, spreads=curve.spreads)


def _name_line(axes: Axes, curve: CostCurve, *, above: bool) -> None:
    """Write the names of a line's points, and its own beside the second or below the last of them."""
    colour, _ = look(curve.method, curve.alpha0)
    offset, ha, va = ((2, 2), "left", "bottom") if above else ((-2, -2), "right", "top")
    places = list(zip(curve.costs, curve.errors, strict=True))
    for number, (place, name) in enumerate(zip(places, curve.names, strict=bool(curve.names))):
        side = (offset, ha, va) if number else ((2, 2), "left", "bottom")  # left of the first stand other names
        _write(axes, name, place, side[0], colour, ha=side[1], va=side[2], size=LABEL_SIZE - 1)
    beside = curve.names[1] if curve.names else ""
    if above:
        _write(axes, curve.label, places[1], (6 + 4 * len(beside), 2), colour, ha=ha, va=va)
    else:
        _write(axes, curve.label, places[-1], (0, -12 if curve.names else -3), colour, ha=ha, va=va)


def _write(
    axes: Axes,
    text: str,
    place: tuple[float, float],
    offset: tuple[float, float],
    colour: str,
    *,
    ha: str,
    va: str,
    size: float = LABEL_SIZE,
) -> None:
    axes.annotate(
        named(text), xy=place, xytext=offset, textcoords="offset points", color=darker(colour), fontsize=size, ha=ha,
        va=va,
    )  # fmt: skip


def _dress(axes: Axes, curves: Sequence[CostCurve], measure: str) -> None:
    """Move the y axis to the right, as names stand left, and leave room for them."""
    costs = {cost for curve in curves for cost in curve.costs}
    cheapest, dearest = min(costs), max(2.0, *costs)
    axes.set_xlim(cheapest - 0.06 * dearest, dearest + 0.06 * dearest)
    axes.margins(y=0.15)
    low, high = axes.get_ylim()
    axes.set_ylim(low - 0.06 * (high - low), high)  # room for the name of a line that ends lowest
    axes.set_xticks(sorted({cost for cost in costs if cost == int(cost)}))
    axes.yaxis.tick_right()
    axes.yaxis.set_label_position("right")
    axes.spines["left"].set_visible(False)
    axes.spines["right"].set_visible(True)
    axes.set_xlabel("Training cost (full budgets)")
    axes.set_ylabel(measure)
