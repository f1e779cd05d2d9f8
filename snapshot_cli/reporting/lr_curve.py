"""Plot the learning rate of a run: as a curve in a figure, and as text in the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from snapshot_cli.config.experiment import Run, steps_per_epoch
from snapshot_cli.reporting.style import Heading, LineEnd, Look, name_ends, panels, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

POINTS = 600  # of a curve in a figure, in addition to the steps around its jumps
EIGHTHS = " ▁▂▃▄▅▆▇█"
WIDTH, HEIGHT = 60, 6  # characters


@dataclass(frozen=True)
class LRCurve:
    """The learning rates of a run by epoch, and the epochs and learning rates of its snapshots."""

    label: str
    look: Look
    epochs: Sequence[float]
    lrs: Sequence[float]
    snapshots: Sequence[float]
    snapshot_lrs: Sequence[float]


def plan_curve(run: Run, examples: int, *, label: str, look: Look) -> LRCurve:
    """Return the learning rates of a planned or finished run that trains on a number of examples."""
    epoch_length, steps = steps_per_epoch(examples, run.batch_size), _sample_steps(run, examples)
    snapshot_steps = run.snapshot_steps(examples)
    return LRCurve(
        label,
        look,
        epochs=[step / epoch_length for step in steps],  # at the end of the step, as for snapshots
        lrs=[run.lr(step, examples) for step in steps],
        snapshots=[step / epoch_length for step in snapshot_steps],
        snapshot_lrs=[run.lr(step, examples) for step in snapshot_steps],
    )


def draw_curves(curves: Sequence[LRCurve], heading: Heading) -> Figure:
    """Draw a figure of learning rates against epochs, with a marker at every snapshot."""
    with style():
        figure, ((axes,),) = panels([heading], names=[curve.label for curve in curves])
        ends = draw_lrs(axes, curves)
        axes.set_xlabel("Epochs")
        name_ends(axes, ends)
    return figure


def draw_lrs(axes: Axes, curves: Sequence[LRCurve]) -> list[LineEnd]:
    """Draw learning rates and snapshots into axes, and return the ends of the lines."""
    ends = []
    for curve in curves:
        colour, marker = curve.look.colour, curve.look.marker
        axes.plot(curve.epochs, curve.lrs, color=colour, linewidth=1.2, label=curve.label)
        axes.plot(
            curve.snapshots, curve.snapshot_lrs, marker, color=colour, markersize=3.5, markeredgewidth=0,
            label=f"_{curve.label}: snapshots", clip_on=False, zorder=3,
        )  # fmt: skip
        ends.append(LineEnd(curve.label, curve.look, curve.epochs[-1], curve.lrs[-1]))
    axes.set_xlim(0, max(curve.epochs[-1] for curve in curves))
    axes.set_ylim(0, 1.05 * max(max(curve.lrs) for curve in curves))
    draw_cycle_ends(axes, cycle_ends(curves))
    axes.set_ylabel("Learning rate")
    return ends


def cycle_ends(curves: Sequence[LRCurve]) -> Sequence[float]:
    """Return the snapshot epochs of the curve with the most snapshots."""
    return max((curve.snapshots for curve in curves), key=len)


def draw_cycle_ends(axes: Axes, ends: Sequence[float], max_ticks: int = 10) -> None:
    """Draw a vertical line at the end of every cycle, and ticks at up to `max_ticks` of them."""
    for end in ends:
        axes.axvline(end, color="#bbbbbb", linestyle=(0, (3, 2)), linewidth=0.7, zorder=1)
    stride = -(-len(ends) // max_ticks)
    axes.set_xticks([0, *ends[::-1][::stride][::-1]])
    axes.xaxis.set_major_formatter(lambda epoch, _: f"{epoch:.4g}")


def _sample_steps(run: Run, examples: int) -> list[int]:
    """Return steps dense enough for a smooth line, including the steps before and after every jump."""
    total = run.snapshot_steps(examples)[-1]
    jumps = [*run.snapshot_steps(examples)[:-1], *(int(-(-drop * total // 1)) for drop in run.drops)]
    around_jumps = {step for jump in jumps for step in (jump, jump + 1) if 1 <= step <= total}
    return sorted({*range(1, total + 1, max(1, total // POINTS)), total, *around_jumps})


def plot_as_text(run: Run, examples: int) -> list[str]:
    """Plot the learning rate of a run against epochs as lines of text, with a mark below every snapshot."""
    snapshot_steps = run.snapshot_steps(examples)
    total = snapshot_steps[-1]
    column_steps = [column * total // WIDTH + 1 for column in range(WIDTH)]
    heights = [round(8 * HEIGHT * run.lr(step, examples) / run.alpha0) for step in column_steps]
    marked_columns = {min(WIDTH - 1, (step - 1) * WIDTH // total) for step in snapshot_steps}
    epochs = total / steps_per_epoch(examples, run.batch_size)
    top, margin = f"{run.alpha0:g}", max(5, len(f"{run.alpha0:g}"))
    labels = [top, *[""] * (HEIGHT - 2), "0"]
    lines = [f"{label:>{margin}} {_bar_row(heights, HEIGHT - 1 - row)}" for row, label in enumerate(labels)]
    marks = "".join("^" if column in marked_columns else " " for column in range(WIDTH))
    axis = f"epoch 0{f'{epochs:g}':>{WIDTH - len('epoch 0') + margin + 1}}"
    return [line.rstrip() for line in (*lines, f"{'':{margin}} {marks}", axis)]


def _bar_row(heights: Sequence[int], row: int) -> str:
    """Return one row of a bar chart, row 0 at the bottom; heights are in eighths of a character."""
    return "".join(EIGHTHS[max(0, min(8, height - 8 * row))] for height in heights)
