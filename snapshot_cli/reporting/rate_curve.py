"""The learning rate of a run as a curve: in a figure, and in characters for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from snapshot_cli.config.experiment import Run, iterations_per_epoch
from snapshot_cli.reporting.style import Heading, LineEnd, Look, name_ends, panels, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

POINTS = 600  # of a figure's curve, besides the iterations around its jumps
EIGHTHS = " ▁▂▃▄▅▆▇█"
WIDTH, HEIGHT = 60, 6  # characters


@dataclass(frozen=True)
class RateCurve:
    """The learning rate of a run at places in epochs, and the epochs and rates of its snapshots."""

    label: str
    look: Look
    epochs: Sequence[float]
    rates: Sequence[float]
    snapshots: Sequence[float]
    snapshot_rates: Sequence[float]


def planned(run: Run, examples: int, *, label: str, look: Look) -> RateCurve:
    """Return the curve of a run that need not be trained yet, given its number of training examples."""
    length, places = iterations_per_epoch(examples, run.batch_size), _places(run, examples)
    ends = run.snapshot_iterations(examples)
    return RateCurve(
        label,
        look,
        epochs=[place / length for place in places],  # where the iteration ends, as for snapshots
        rates=[run.rate(place, examples) for place in places],
        snapshots=[end / length for end in ends],
        snapshot_rates=[run.rate(end, examples) for end in ends],
    )


def draw_curves(curves: Sequence[RateCurve], heading: Heading) -> Figure:
    """Draw learning rates against epochs, a marker at the rate of each snapshot."""
    with style():
        figure, ((axes,),) = panels([heading], names=[curve.label for curve in curves])
        ends = draw_rates(axes, curves)
        axes.set_xlabel("Epochs")
        name_ends(axes, ends)
    return figure


def draw_rates(axes: Axes, curves: Sequence[RateCurve]) -> list[LineEnd]:
    """Draw rates and snapshots into axes and return the lines' ends."""
    ends = []
    for curve in curves:
        colour, marker = curve.look.colour, curve.look.marker
        axes.plot(curve.epochs, curve.rates, color=colour, linewidth=1.2, label=curve.label)
        axes.plot(
            curve.snapshots, curve.snapshot_rates, marker, color=colour, markersize=3.5, markeredgewidth=0,
            label=f"_{curve.label}: snapshots", clip_on=False, zorder=3,
        )  # fmt: skip
        ends.append(LineEnd(curve.label, curve.look, curve.epochs[-1], curve.rates[-1]))
    axes.set_xlim(0, max(curve.epochs[-1] for curve in curves))
    axes.set_ylim(0, 1.05 * max(max(curve.rates) for curve in curves))
    draw_cycles(axes, cycles(curves))
    axes.set_ylabel("Learning rate")
    return ends


def cycles(curves: Sequence[RateCurve]) -> Sequence[float]:
    """Return the epochs at which the curve with most snapshots has them."""
    return max((curve.snapshots for curve in curves), key=len)


def draw_cycles(axes: Axes, ends: Sequence[float], most: int = 10) -> None:
    """Draw a vertical line at the end of each cycle; ticks stand there too, or at as many as there is room for."""
    for end in ends:
        axes.axvline(end, color="#bbbbbb", linestyle=(0, (3, 2)), linewidth=0.7, zorder=1)
    step = -(-len(ends) // most)
    axes.set_xticks([0, *ends[::-1][::step][::-1]])
    axes.xaxis.set_major_formatter(lambda epoch, _: f"{epoch:.4g}")


def _places(run: Run, examples: int) -> list[int]:
    """Return iterations close enough for a smooth line, with those before and after every jump."""
    total = run.snapshot_iterations(examples)[-1]
    jumps = [*run.snapshot_iterations(examples)[:-1], *(int(-(-drop * total // 1)) for drop in run.drops)]
    around = {place for jump in jumps for place in (jump, jump + 1) if 1 <= place <= total}
    return sorted({*range(1, total + 1, max(1, total // POINTS)), total, *around})


def in_characters(run: Run, examples: int) -> list[str]:
    """Return lines that draw the rate of a run over its iterations, with a mark below each snapshot."""
    ends = run.snapshot_iterations(examples)
    firsts = [column * ends[-1] // WIDTH + 1 for column in range(WIDTH)]
    heights = [round(8 * HEIGHT * run.rate(first, examples) / run.alpha0) for first in firsts]
    marks = {min(WIDTH - 1, (end - 1) * WIDTH // ends[-1]) for end in ends}
    epochs = ends[-1] / iterations_per_epoch(examples, run.batch_size)
    top, margin = f"{run.alpha0:g}", max(5, len(f"{run.alpha0:g}"))
    labels = [top, *[""] * (HEIGHT - 2), "0"]
    lines = [f"{label:>{margin}} {_row(heights, HEIGHT - 1 - row)}" for row, label in enumerate(labels)]
    below = "".join("^" if column in marks else " " for column in range(WIDTH))
    axis = f"epoch 0{f'{epochs:g}':>{WIDTH - len('epoch 0') + margin + 1}}"
    return [line.rstrip() for line in (*lines, f"{'':{margin}} {below}", axis)]


def _row(heights: Sequence[int], row: int) -> str:
    """Return a row of bars, `row` counted from the ground; heights are in eighths of a character."""
    return "".join(EIGHTHS[max(0, min(8, height - 8 * row))] for height in heights)
