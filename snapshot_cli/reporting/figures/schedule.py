"""Draw the learning rate against epochs, with the snapshots as markers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from snapshot_cli.analysis.outcomes import Outcome, count_cells
from snapshot_cli.config.experiment import Run, steps_per_epoch
from snapshot_cli.reporting import lines
from snapshot_cli.reporting.drawn import Drawn, Picture, Request, split
from snapshot_cli.reporting.style import Heading, LineEnd, Look, look, name_ends, panels

PER = ("network", "dataset")
CAPTION = "Learning rate against epochs; marks are snapshots."
NEEDS = "a method of one run"
POINTS = 600  # of a curve, in addition to the steps around its jumps


def draw(outcomes: Sequence[Outcome], request: Request) -> list[Drawn]:
    """Draw one figure per network and dataset: the learning rate of every single-run method."""
    drawn: list[Drawn] = []
    for part, part_request in split(single_run_outcomes(outcomes), request, *PER):
        curves = [curve(outcome) for outcome in part]
        figure = partial(draw_curves, curves, lines.heading(part)._replace(facts=("the same for every seed",)))
        words = ", ".join(f"{line.label} with {len(line.snapshots)} snapshots" for line in curves)
        drawn.append(Picture(part_request, CAPTION, figure, f"{part[0].group}: {words}", count_cells(part)))
    return drawn


def single_run_outcomes(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Return the experiments with one finished run per replicate; of experiments that share a run, only the first."""
    first: dict[frozenset[str], Outcome] = {}
    for outcome in outcomes:
        if outcome.run:
            first.setdefault(frozenset(outcome.finished[0].runs), outcome)
    return list(first.values())


@dataclass(frozen=True)
class LRCurve:
    """The learning rates of a run by epoch, and the epochs and learning rates of its snapshots."""

    label: str
    look: Look
    epochs: Sequence[float]
    lrs: Sequence[float]
    snapshots: Sequence[float]
    snapshot_lrs: Sequence[float]


def curve(outcome: Outcome) -> LRCurve:
    """Return the learning-rate curve of an experiment's run."""
    run = outcome.run
    assert run, "an experiment of one run"
    return plan_curve(run.config, run.train_examples, label=outcome.label, look=look(outcome.experiment))


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


def _sample_steps(run: Run, examples: int) -> list[int]:
    """Return steps dense enough for a smooth line, including the steps before and after every jump."""
    total = run.snapshot_steps(examples)[-1]
    jumps = [*run.snapshot_steps(examples)[:-1], *(int(-(-drop * total // 1)) for drop in run.drops)]
    around_jumps = {step for jump in jumps for step in (jump, jump + 1) if 1 <= step <= total}
    return sorted({*range(1, total + 1, max(1, total // POINTS)), total, *around_jumps})


def draw_curves(curves: Sequence[LRCurve], heading: Heading) -> Figure:
    """Draw a figure of learning rates against epochs, with a marker at every snapshot."""
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
