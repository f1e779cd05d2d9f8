"""Training loss against epochs, with the learning rate below it (Figure 2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from snapshot_cli.reporting.figures.lines import PaperPoint, draw_paper, explain_paper
from snapshot_cli.reporting.figures.schedules import RateCurve, draw_rates
from snapshot_cli.reporting.figures.style import (
    LABEL_SIZE,
    TEXT_WIDTH,
    LineEnd,
    blank_figure,
    look,
    name_ends,
    style,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class LossCurve:
    """Hold a run's mean training loss in nats of the epochs that end at `epochs`, and what the paper has of it."""

    label: str
    method: str
    alpha0: float | None
    epochs: Sequence[float]
    losses: Sequence[float]
    paper: Sequence[PaperPoint] = ()


def training_loss(
    curves: Sequence[LossCurve], rates: Sequence[RateCurve], *, restarts: Sequence[float], title: str
) -> Figure:
    """Draw loss (log axis) above the learning rate; `restarts` are the epochs at which snapshots 1..M are taken.

    Losses that are NaN or not above 0 are left out.
    """
    with style():
        figure = blank_figure(TEXT_WIDTH, 3.6)
        grid = figure.add_gridspec(2, 1, height_ratios=[2.4, 1])
        above = figure.add_subplot(grid[0])
        below = figure.add_subplot(grid[1], sharex=above)
        ends = _draw_losses(above, curves, title)
        draw_rates(below, rates)
        _draw_restarts(above, below, restarts)
        figure.align_ylabels([above, below])
        name_ends(above, ends)
    return figure


def _draw_losses(axes: Axes, curves: Sequence[LossCurve], title: str) -> list[LineEnd]:
    ends = []
    for curve in curves:
        colour, _ = look(curve.method, curve.alpha0)
        losses = [loss if loss > 0 else float("nan") for loss in curve.losses]
        axes.plot(curve.epochs, losses, color=colour, linewidth=1.2, label=curve.label)
        draw_paper(axes, curve.paper, method=curve.method, alpha0=curve.alpha0)
        known = [(epoch, loss) for epoch, loss in zip(curve.epochs, losses, strict=True) if loss == loss]
        ends.append(LineEnd(curve.label, colour, *(known[-1] if known else (0.0, float("nan")))))
    axes.set_yscale("log")
    if any(curve.paper for curve in curves):
        explain_paper(axes)
    axes.set_title(title, pad=14)
    axes.set_ylabel("Training loss (nats)")
    axes.tick_params(labelbottom=False)
    return ends


def _draw_restarts(above: Axes, below: Axes, restarts: Sequence[float]) -> None:
    """Draw a dashed vertical through both panels for each restart and name the model it leaves above it."""
    for number, epoch in enumerate(restarts, start=1):
        for axes in (above, below):
            axes.axvline(epoch, color="#999999", linestyle=(0, (3, 2)), linewidth=0.8, zorder=1, clip_on=False)
        above.annotate(
            f"Model {number}" if len(restarts) <= 12 else str(number), xy=(epoch, 1),
            xycoords=("data", "axes fraction"), xytext=(0, 3),
            textcoords="offset points", ha="center", fontsize=LABEL_SIZE - 0.5, color="#555555",
        )  # fmt: skip
