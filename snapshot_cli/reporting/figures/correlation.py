"""Draw the pairwise correlation of the members' softmax outputs as heat maps (Figure 6)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from numpy.typing import NDArray

from snapshot_cli.analysis.outcomes import Outcome, count_cells
from snapshot_cli.reporting import claims, lines, style
from snapshot_cli.reporting.drawn import Drawn, Picture, Request

Matrix = NDArray[np.float64]

CAPTION = "Pairwise correlation of the members' softmax outputs. Lower is more diverse."
NOTE = "Pearson correlation over all softmax entries, examples and classes together; the paper does not define it."
NEEDS = "a method with several members"
COLUMNS = 3
BAR = 0.66  # inches right of the panels for the colour bar
MIN_FONT_SIZE = 4.0  # points; values that need smaller text are not written


def draw(outcomes: Sequence[Outcome], request: Request) -> list[Drawn]:
    """Draw the correlations of every ensemble, averaged over seeds, as heat maps with a common colour scale."""
    shown = [outcome for outcome in outcomes if outcome.members > 1]
    if not shown:
        return []
    values = [_mean(outcome) for outcome in shown]
    words = [
        f"{outcome.group}, {outcome.label}: first with last {matrix[0, -1]:.3f}"
        for outcome, matrix in zip(shown, values, strict=True)
    ]
    notes = [NOTE, *(["Means over seeds."] if any(len(outcome.scores) > 1 for outcome in shown) else [])]
    notes += claims.further(shown, "correlation")
    return [Picture(request, CAPTION, partial(_figure, shown, values), "; ".join(words), count_cells(shown), notes)]


def _mean(outcome: Outcome) -> Matrix:
    values: Matrix = np.mean([scores.correlation for scores in outcome.finished], axis=0)
    return values


def _figure(outcomes: Sequence[Outcome], values: Sequence[Matrix]) -> Figure:
    columns = min(COLUMNS, len(outcomes))
    low = min(float(np.nanmin(matrix, initial=1.0)) for matrix in values)
    width = style.WIDTH if columns == 1 else style.TEXT_WIDTH
    side = (width - BAR - style.LEFT - style.INNER * (columns - 1)) / columns - style.RIGHT
    figure, drawn = style.panels(
        [lines.heading([outcome], method=outcome.label) for outcome in outcomes],
        columns=columns,
        heights=(side,),
        right_margin=BAR,
    )
    maps = [_draw(axes, matrix, low, side) for (axes,), matrix in zip(drawn, values, strict=True)]
    style.keep_outer_labels(drawn)
    last_in_row = style.box_in_inches(drawn[columns - 1][0])
    bar = style.add_axes(figure, last_in_row.x1 + 0.1, last_in_row.y0 + 0.1 * side, 0.09, 0.8 * side)
    figure.colorbar(maps[0], cax=bar, label="Correlation").outline.set_visible(False)
    bar.yaxis.set_label_coords(0.48 / 0.09, 0.5)
    bar.grid(visible=False)
    return figure


def _draw(axes: Axes, matrix: Matrix, low: float, side: float) -> QuadMesh:
    members = len(matrix)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.set_facecolor("#dddddd")  # shows where a value is NaN
    edges = np.arange(members + 1) + 0.5
    cells = axes.pcolormesh(
        edges, edges, matrix, cmap="cividis", vmin=low if low < 1 else 0, vmax=1, edgecolor="white", linewidth=0.5
    )
    axes.set_ylim(members + 0.5, 0.5)
    axes.set_xticks(style.integer_ticks(members))
    axes.set_yticks(style.integer_ticks(members))
    axes.tick_params(length=0)
    axes.set_xlabel("Member")
    axes.set_ylabel("Member")
    decimals = 3 if low > 0.95 else 2
    widest = style.text_width("0." + "0" * decimals)
    size = style.LABEL_SIZE * min(1.0, 0.86 * side / members / widest)
    if size >= MIN_FONT_SIZE:
        _write_values(axes, matrix, cells.to_rgba(matrix), decimals, size)
    return cells


def _write_values(axes: Axes, matrix: Matrix, colours: Any, decimals: int, size: float) -> None:
    """Write the values into the cells, a dash for NaN."""
    for (row, column), value in np.ndenumerate(matrix):
        is_number = value == value
        text = f"{value:.{decimals}f}" if is_number else "\N{EN DASH}"
        ink = _text_colour(colours[row, column, :3]) if is_number else "black"
        axes.text(column + 1, row + 1, text, ha="center", va="center_baseline", fontsize=size, color=ink)


def _text_colour(colour: Matrix) -> str:
    """Return white or black, whichever has the higher contrast with a colour (WCAG 2, relative luminance)."""
    linear = [channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4 for channel in colour]
    luminance = sum(channel * weight for channel, weight in zip(linear, (0.2126, 0.7152, 0.0722), strict=True))
    return "white" if luminance < 0.179 else "black"
