"""The learning rate against epochs, with the places at which snapshots are taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from snapshot_cli.reporting.figures.style import LineEnd, look, name_ends, panel_figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class RateCurve:
    """Hold the learning rate at places in epochs (iteration / iterations per epoch), and the epochs of snapshots.

    A few hundred places are enough for a smooth line; the last iteration of a cycle and the first of the next one
    should be among them, so that restarts stand upright.
    """

    label: str
    method: str
    alpha0: float | None
    epochs: Sequence[float]
    rates: Sequence[float]
    snapshots: Sequence[float] = ()


def schedule(curves: Sequence[RateCurve], *, title: str) -> Figure:
    """Draw the learning rate against epochs, with a dot at the rate at which each snapshot is taken."""
    with style():
        figure, (axes,) = panel_figure([title])
        name_ends(axes, draw_rates(axes, curves))
    return figure


def draw_rates(axes: Axes, curves: Sequence[RateCurve]) -> list[LineEnd]:
    """Draw rates and snapshots into axes and return the lines' ends."""
    from matplotlib.ticker import MaxNLocator

    ends = []
    for curve in curves:
        colour, _ = look(curve.method, curve.alpha0)
        axes.plot(curve.epochs, curve.rates, color=colour, linewidth=1.2, label=curve.label)
        rates = [_rate_at(curve, snapshot) for snapshot in curve.snapshots]
        if rates:
            name = f"_snapshots of {curve.label}"
            axes.plot(curve.snapshots, rates, "o", color=colour, markersize=3.5, label=name, clip_on=False, zorder=3)
        ends.append(LineEnd(curve.label, colour, curve.epochs[-1], curve.rates[-1]))
    axes.set_xlim(0, max(curve.epochs[-1] for curve in curves))
    axes.set_ylim(0, 1.05 * max(max(curve.rates) for curve in curves))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=7))
    axes.set_xlabel("Epochs")
    axes.set_ylabel("Learning rate")
    return ends


def _rate_at(curve: RateCurve, epoch: float) -> float:
    """Return the rate of the last place that is not after an epoch, or of the first one."""
    places = zip(reversed(curve.epochs), reversed(curve.rates), strict=True)
    return next((rate for place, rate in places if place <= epoch), curve.rates[0])
