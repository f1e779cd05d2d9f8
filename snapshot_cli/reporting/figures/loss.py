"""Draw the training loss and the learning rate against epochs (Figure 2)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from snapshot_cli.analysis import paper
from snapshot_cli.analysis.outcomes import Outcome, count_cells
from snapshot_cli.analysis.statistics import means
from snapshot_cli.config.experiment import steps_per_epoch
from snapshot_cli.reporting import claims, lines, style
from snapshot_cli.reporting.drawn import Drawn, Picture, Request, split
from snapshot_cli.reporting.figures import schedule
from snapshot_cli.reporting.style import LineEnd, look
from snapshot_cli.scores import Scores

PER = ("network", "dataset")
CAPTION = (
    "Mean training loss per epoch on a log scale, and the learning rate. Every restart raises the loss, and every "
    "cycle lowers it again."
)
NEEDS = "a method of one run"
READ_OFF = "The paper's losses were read off its Figure 2, to within 15 %."
PALE_LINES = "Pale lines are single seeds."


def draw(outcomes: Sequence[Outcome], request: Request) -> list[Drawn]:
    """Draw one figure per network and dataset: the training loss of single-run methods, averaged over seeds."""
    drawn: list[Drawn] = []
    with_curve = [
        outcome for outcome in schedule.single_run_outcomes(outcomes) if outcome.run and outcome.run.curve.step
    ]
    for part, part_request in split(with_curve, request, *PER):
        ends = ", ".join(f"{outcome.label} ends at {_mean_losses(outcome)[-1]:.2g}" for outcome in part)
        notes = [PALE_LINES] if any(len(outcome.scores) > 1 for outcome in part) else []
        notes += [READ_OFF] if any(paper.losses(outcome.experiment) for outcome in part) else []
        notes += claims.further(part, "loss")
        drawn.append(
            Picture(
                part_request,
                CAPTION,
                partial(_figure, part),
                f"{part[0].group}: {ends}",
                count_cells(part),
                notes,
            )
        )
    return drawn


def _losses(scores: Scores) -> list[float]:
    assert scores.only_run
    return scores.only_run.curve.train_loss


def _mean_losses(outcome: Outcome) -> list[float]:
    return means([_losses(scores) for scores in outcome.finished])


def _epochs(scores: Scores) -> list[float]:
    run = scores.only_run
    assert run
    epoch_length = steps_per_epoch(run.train_examples, run.config.batch_size)
    return [step / epoch_length for step in run.curve.step]


def _figure(outcomes: Sequence[Outcome]) -> Figure:
    (labels,) = lines.label_lines([outcomes])
    published = [paper.losses(outcome.experiment) for outcome in outcomes]
    run = outcomes[0].run
    assert run, "an experiment of one run"
    facts = (lines.count_seeds(outcomes), f"{run.train_examples:,} training images")
    heading = lines.heading(outcomes)._replace(facts=facts)
    figure, ((above, below),) = style.panels(
        [heading],
        heights=(2.3, 0.9),
        width=style.TEXT_WIDTH,
        names=labels,
        legend=[lines.PAPER] if any(published) else None,
    )
    ends = [_draw(above, outcome, label) for outcome, label in zip(outcomes, labels, strict=True)]
    curves = [schedule.curve(outcome) for outcome in outcomes]
    schedule.draw_lrs(below, curves)
    below.set_xlabel("Epochs")
    above.set_yscale("log")
    low, high = above.get_ylim()
    above.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    above.yaxis.set_minor_formatter(
        lambda value, _: f"{value:g}" if high < 10 * low and f"{value:e}"[0] in "25" else ""
    )
    above.set_ylabel("Training loss (nats)")
    for outcome, points in zip(outcomes, published, strict=True):
        values: dict[float, tuple[float, float | None]] = {
            epoch: (loss, loss * paper.FIGURE2_UNCERTAINTY) for epoch, loss in points.items()
        }
        lines.draw_paper(above, values, look(outcome.experiment))
    schedule.draw_cycle_ends(above, schedule.cycle_ends(curves))
    style.name_ends(above, ends)
    style.legend_below(figure, lines.paper_handle() if any(published) else {})
    return figure


def _draw(axes: Axes, outcome: Outcome, label: str) -> LineEnd:
    epochs, colour = _epochs(outcome.finished[0]), look(outcome.experiment).colour
    mean_losses = [loss if loss > 0 else float("nan") for loss in _mean_losses(outcome)]
    if len(outcome.scores) > 1:
        for scores in outcome.finished:
            axes.plot(epochs, _losses(scores), color=colour, linewidth=0.4, alpha=0.3, label=f"_{label}: a seed")
    axes.plot(epochs, mean_losses, color=colour, linewidth=1.2, label=label)
    return LineEnd(label, look(outcome.experiment), epochs[-1], mean_losses[-1])
