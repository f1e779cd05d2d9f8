"""Each snapshot alone and the ensemble of the first k (Figures 7 and 8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from snapshot_cli.reporting.figures.lines import draw_level, draw_line
from snapshot_cli.reporting.figures.style import LineEnd, counted, look, name_ends, panel_figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

ALONE = ("Snapshot alone", ("#8a8a8a", "o"))
ENSEMBLE = "Ensemble of the first k"


@dataclass(frozen=True)
class TimePanel:
    """Hold one panel: errors in percent of snapshots 1..M, of the ensembles of the first 1..M, of the single model.

    Method and alpha0 fix the colour of the ensembles; `single` is None where there is none.
    """

    title: str
    method: str
    alpha0: float | None
    members: Sequence[float]
    ensembles: Sequence[float]
    single: float | None


def over_time(panels: Sequence[TimePanel], *, columns: int = 4) -> Figure:
    """Draw small multiples, `columns` a row, with one legend; one panel alone has a column's width and names at ends.

    Points that are NaN are left out.
    """
    with style():
        height = 1.7 if len(panels) > columns else 2.5
        figure, drawn = panel_figure([panel.title for panel in panels], columns=columns, height=height)
        ends = [_draw_panel(axes, panel) for axes, panel in zip(drawn, panels, strict=True)]
        for axes in drawn:
            axes.set_ylabel("Error (%)" if axes.get_subplotspec().is_first_col() else "")  # type: ignore[union-attr]
        for axes in drawn[-columns:]:  # the lowest of each column
            axes.set_xlabel("Snapshot k")
        if len(panels) == 1:
            name_ends(drawn[0], ends[0])
        else:
            fullest = max(drawn, key=lambda axes: len(axes.get_lines()))
            figure.legend(handles=_handles(fullest, panels), loc="outside lower center", ncols=3, frameon=False)
    return figure


def _handles(fullest: Axes, panels: Sequence[TimePanel]) -> list[Line2D]:
    """Return what the legend shows: the lines of a panel, that of the ensembles black where panels differ in it."""
    from matplotlib.lines import Line2D

    if len({look(panel.method, panel.alpha0) for panel in panels}) == 1:
        return fullest.get_lines()
    black = Line2D([], [], color="black", label=ENSEMBLE)
    return [black if line.get_label() == ENSEMBLE else line for line in fullest.get_lines()]


def _draw_panel(axes: Axes, panel: TimePanel) -> list[LineEnd]:
    members = len(panel.members)
    x = range(1, members + 1)
    axes.set_xlim(1 - 0.04 * members, members + 0.04 * members)
    ends = [
        draw_line(axes, name, colours=colours, x=x, y=errors)
        for (name, colours), errors in (
            (ALONE, panel.members),
            ((ENSEMBLE, look(panel.method, panel.alpha0)), panel.ensembles),
        )
    ]
    if panel.single is not None:
        ends.append(draw_level(axes, "Single model", look("single")[0], panel.single))
    axes.set_xticks(counted(members))
    axes.margins(y=0.1)
    return ends
