"""Pairwise correlation of snapshots' softmax outputs (Figure 6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from snapshot_cli.analysis.metrics import Array
from snapshot_cli.reporting.figures.style import LABEL_SIZE, TEXT_WIDTH, WIDTH, blank_figure, style, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import QuadMesh
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class CorrelationPanel:
    """Hold one heat map: its title and the correlations (M, M)."""

    title: str
    values: Array


def correlation(panels: Sequence[CorrelationPanel]) -> Figure:
    """Draw heat maps side by side, values in the cells, one scale from the lowest value to 1 and one colour bar.

    Values that are NaN are grey with a dash.
    """
    with style():
        height = 3.1 if len(panels) == 1 else 6.2 / len(panels) + 0.45
        figure = blank_figure(WIDTH if len(panels) == 1 else TEXT_WIDTH, height)
        low = min(float(np.nanmin(panel.values, initial=1.0)) for panel in panels)
        drawn = [figure.add_subplot(1, len(panels), place) for place in range(1, len(panels) + 1)]
        maps = [_draw_panel(axes, panel, low, len(panels)) for axes, panel in zip(drawn, panels, strict=True)]
        drawn[0].set_ylabel("Snapshot")
        bar = figure.colorbar(maps[0], ax=drawn, label="Correlation", shrink=0.85, aspect=18, pad=0.02)
        bar.outline.set_visible(False)
    return figure


def _draw_panel(axes: Axes, panel: CorrelationPanel, low: float, columns: int) -> QuadMesh:
    members = len(panel.values)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.set_facecolor("#dddddd")  # shows where a value is NaN
    edges = np.arange(members + 1) - 0.5
    cells = axes.pcolormesh(
        edges, edges, panel.values, cmap="cividis", vmin=low if low < 1 else 0, vmax=1, edgecolor="white", linewidth=0.5
    )
    axes.set_aspect("equal")
    axes.invert_yaxis()
    axes.set_title(wrapped(panel.title, columns))
    ticks = range(members)
    axes.set_xticks(ticks, [str(k + 1) for k in ticks])
    axes.set_yticks(ticks, [str(k + 1) for k in ticks])
    axes.tick_params(length=0)
    axes.set_xlabel("Snapshot")
    decimals = 3 if low > 0.95 else 2
    size = LABEL_SIZE if members <= 6 else LABEL_SIZE - 2
    colours = cells.to_rgba(panel.values)
    for (row, column), value in np.ndenumerate(panel.values):
        known = value == value
        text, ink = (f"{value:.{decimals}f}", _ink(colours[row, column, :3])) if known else ("\N{EN DASH}", "black")
        axes.text(column, row, text, ha="center", va="center", fontsize=size, color=ink)
    return cells


def _ink(colour: Array) -> str:
    """Return white or black, whichever has the higher contrast to a colour (WCAG 2, relative luminance)."""
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour]
    luminance = float(np.dot(linear, (0.2126, 0.7152, 0.0722)))
    return "white" if luminance < 0.179 else "black"
