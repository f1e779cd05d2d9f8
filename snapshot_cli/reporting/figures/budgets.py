"""Error against training budget (Figure 4 left and middle)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from snapshot_cli.reporting.figures.lines import BudgetCurve, draw_line, draw_paper, explain_paper
from snapshot_cli.reporting.figures.style import LineEnd, look, name_ends, panel_figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class BudgetPanel:
    """Hold one panel, as a rule a dataset: its title and a curve a method."""

    title: str
    curves: Sequence[BudgetCurve]


def budget(panels: Sequence[BudgetPanel]) -> Figure:
    """Draw error (%) against budget B (epochs), panels side by side with y axes of their own.

    Points that are NaN are left out; the paper's numbers are hollow grey markers of the method's shape.
    """
    with style():
        figure, drawn = panel_figure([panel.title for panel in panels])
        ends = [_draw_panel(axes, panel) for axes, panel in zip(drawn, panels, strict=True)]
        for axes, names in zip(drawn, ends, strict=True):
            axes.set_ylabel("Error (%)" if axes.get_subplotspec().is_first_col() else "")  # type: ignore[union-attr]
            axes.set_xlabel("Training budget B (epochs)")
            name_ends(axes, names)
    return figure


def _draw_panel(axes: Axes, panel: BudgetPanel) -> list[LineEnd]:
    for curve in panel.curves:
        draw_paper(axes, curve.paper, method=curve.method, alpha0=curve.alpha0)
    ends = [
        draw_line(
            axes, curve.label, colours=look(curve.method, curve.alpha0), x=curve.budgets, y=curve.errors,
            spreads=curve.spreads,
        )
        for curve in panel.curves
    ]  # fmt: skip
    if any(curve.paper for curve in panel.curves):
        explain_paper(axes)
    axes.set_xticks(sorted({budget for curve in panel.curves for budget in curve.budgets}))
    axes.margins(x=0.06, y=0.08)
    return ends
