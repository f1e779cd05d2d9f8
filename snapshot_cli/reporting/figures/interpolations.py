"""Test error on the line from each earlier snapshot to the last (Figure 5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from snapshot_cli.reporting.figures.style import panel_figure, shades, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class InterpolationPanel:
    """Hold one panel: lambdas (points,), and errors in percent (M - 1, points), row k - 1 from snapshot k.

    lambda 0 is the earlier snapshot, 1 the last one.
    """

    title: str
    lambdas: Sequence[float]
    errors: Sequence[Sequence[float]]


def interpolation(panels: Sequence[InterpolationPanel]) -> Figure:
    """Draw test error (%) against lambda, a line an earlier snapshot, dark to light, two panels a row."""
    with style():
        figure, drawn = panel_figure([panel.title for panel in panels])
        for axes, panel in zip(drawn, panels, strict=True):
            _draw_panel(axes, panel)
            axes.set_ylabel("Test error (%)" if axes.get_subplotspec().is_first_col() else "")  # type: ignore[union-attr]
        for axes in drawn[-2:]:  # the lowest of each column
            axes.set_xlabel("λ")
        longest = max(drawn, key=lambda axes: len(axes.get_lines()))
        columns = 3 if len(panels) == 1 else 6
        figure.legend(
            handles=longest.get_lines(), loc="outside lower center", ncols=columns, frameon=False, columnspacing=1.2
        )
    return figure


def _draw_panel(axes: Axes, panel: InterpolationPanel) -> None:
    for number, (errors, colour) in enumerate(zip(panel.errors, shades(len(panel.errors)), strict=True), start=1):
        marker = "osD^vPX<>"[(number - 1) % 9]
        axes.plot(
            panel.lambdas, errors, color=colour, marker=marker, markersize=3.2, markeredgewidth=0, linewidth=1.2,
            label=f"Snapshot {number}", clip_on=False,
        )  # fmt: skip
    axes.set_xlim(0, 1)
    axes.margins(y=0.08)
