"""Error against ensemble size (Figures 3 and 4 right)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from snapshot_cli.reporting.figures.lines import Curve, draw_level, draw_line, draw_paper, explain_paper
from snapshot_cli.reporting.figures.style import LineEnd, counted, look, name_ends, panel_figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class SizePanel:
    """Hold one panel: its title, a curve a method, and the single model's error in percent, None without one."""

    title: str
    curves: Sequence[Curve]
    single: float | None


def ensemble_size(panels: Sequence[SizePanel]) -> Figure:
    """Draw error (%) against ensemble size m = 1..M, a line a curve, two panels a row; the single model is dashed.

    A method of one member, such as Dropout, is drawn as a dashed line too. Points that are NaN are left out.
    """
    with style():
        figure, drawn = panel_figure([panel.title for panel in panels])
        ends = [_draw_panel(axes, panel) for axes, panel in zip(drawn, panels, strict=True)]
        for axes in drawn:
            axes.set_ylabel("Error (%)" if axes.get_subplotspec().is_first_col() else "")  # type: ignore[union-attr]
        for axes in drawn[-2:]:  # the lowest of each column
            axes.set_xlabel("Ensemble size m")
        for axes, named in zip(drawn, ends, strict=True):
            name_ends(axes, named)
    return figure


def _draw_panel(axes: Axes, panel: SizePanel) -> list[LineEnd]:
    sizes = max(len(curve.errors) for curve in panel.curves)
    axes.set_xlim(1 - 0.04 * sizes, sizes + 0.04 * sizes)
    ends = [_draw(axes, curve, sizes) for curve in panel.curves]
    if panel.single is not None:
        ends.append(draw_level(axes, "Single model", look("single")[0], panel.single))
    if any(curve.paper for curve in panel.curves):
        explain_paper(axes)
    axes.set_xticks(counted(sizes))
    axes.margins(y=0.08)
    return ends


def _draw(axes: Axes, curve: Curve, sizes: int) -> LineEnd:
    colours = look(curve.method, curve.alpha0)
    draw_paper(axes, curve.paper, method=curve.method, alpha0=curve.alpha0)
    if len(curve.errors) == 1 < sizes:
        return draw_level(axes, curve.label, colours[0], curve.errors[0])
    x = range(1, len(curve.errors) + 1)
    return draw_line(axes, curve.label, colours=colours, x=x, y=curve.errors, spreads=curve.spreads)
