"""Draw the error against the training budget, with a panel per network and dataset (Figure 4 left and middle)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from matplotlib.axes import Axes

from snapshot_cli.analysis.labels import methods
from snapshot_cli.analysis.outcomes import Outcome, count_cells, group_by, paper_value, split_by_panel
from snapshot_cli.config.experiment import Experiment
from snapshot_cli.reporting import lines
from snapshot_cli.reporting.drawn import Drawn, Picture, Request
from snapshot_cli.reporting.style import LineEnd, look

CAPTION = "Error of the full ensemble against the training budget. Which method keeps a low error with a small budget?"
NEEDS = "two budgets to compare"
LINE_FIELDS = ("budget", "replicates")
"""The settings that vary along a line."""


def draw(outcomes: Sequence[Outcome], request: Request) -> list[Drawn]:
    """Draw one line per method: the mean over seeds at every budget. Returns nothing if only one budget is finished."""
    parts = [part for part in split_by_panel(outcomes) if len({outcome.experiment.budget for outcome in part}) > 1]
    if not parts:
        return []
    shown = [outcome for part in parts for outcome in part]
    labels = [list(_lines(part)) for part in parts]
    figure = partial(
        lines.small_multiples,
        parts,
        labels,
        _draw,
        x="Training budget B (epochs)",
        paper=any(paper_value(outcome) for outcome in shown),
    )
    notes = [*lines.seeds_note(shown), *lines.compare_with_paper(shown)]
    return [Picture(request, CAPTION, figure, "; ".join(map(_describe, parts)), count_cells(shown), notes)]


def _lines(outcomes: Sequence[Outcome]) -> dict[str, list[Outcome]]:
    """Return the experiments of every line by label, from the smallest budget to the largest."""
    labels = methods([outcome.experiment for outcome in outcomes], without=LINE_FIELDS)
    fields = [name for name in Experiment.model_fields if name not in LINE_FIELDS]
    parts = group_by(outcomes, *fields).values()
    return {labels[part[0].experiment]: sorted(part, key=lambda outcome: outcome.experiment.budget) for part in parts}


def _draw(axes: Axes, outcomes: Sequence[Outcome], labels: Sequence[str]) -> list[LineEnd]:
    budgets = sorted({outcome.experiment.budget for outcome in outcomes})
    shifts = lines.shifts(len(labels), 0.012 * (budgets[-1] - budgets[0]))
    ends = []
    for (label, line), shift in zip(_lines(outcomes).items(), shifts, strict=True):
        line_look = look(line[0].experiment)
        values = {outcome.experiment.budget: paper_value(outcome) for outcome in line}
        lines.draw_paper(
            axes, {budget: lines.with_uncertainty(value) for budget, value in values.items() if value}, line_look
        )
        points: dict[float, list[float]] = {outcome.experiment.budget: outcome.errors for outcome in line}
        ends.append(lines.draw_means(axes, label, line_look, points, shift=shift))
    axes.set_xticks(budgets)
    axes.margins(x=0.06, y=0.08)
    return ends


def _describe(outcomes: Sequence[Outcome]) -> str:
    words = [
        f"{label} " + ", ".join(f"{outcome.error:.2f} % at {outcome.experiment.budget}" for outcome in line)
        for label, line in _lines(outcomes).items()
    ]
    return f"{outcomes[0].group}: {', '.join(words)}"
