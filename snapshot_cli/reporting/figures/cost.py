"""Draw the error against the training cost: one run with M snapshots next to M independent runs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from statistics import fmean

from matplotlib.axes import Axes

from snapshot_cli.analysis.outcomes import Outcome, count_cells, split_by_panel
from snapshot_cli.config import plan
from snapshot_cli.reporting import lines
from snapshot_cli.reporting.drawn import Drawn, Picture, Request
from snapshot_cli.reporting.style import LineEnd, look
from snapshot_cli.scores import Scores

CAPTION = (
    "Error against training cost in full budgets: lower and further left is better. True ensembles and replicas of "
    "snapshot ensembles are drawn at every size; methods of equal cost are moved apart sideways."
)
NEEDS = "two methods to compare, or ensembles of several runs"


def draw(outcomes: Sequence[Outcome], request: Request) -> list[Drawn]:
    """Draw the mean over seeds of every method at its cost; the full budget is the largest budget of a panel."""
    parts = [part for part in split_by_panel(outcomes) if sum(len(_points(outcome, 1)) for outcome in part) > 1]
    if not parts:
        return []
    shown = [outcome for part in parts for outcome in part]
    figure = partial(lines.small_multiples, parts, lines.label_lines(parts), _draw, x="Training cost (full budgets)")
    words = "; ".join(map(_describe, parts))
    return [Picture(request, CAPTION, figure, words, count_cells(shown), lines.seeds_note(shown))]


def _full_budget(outcomes: Sequence[Outcome]) -> int:
    return max(outcome.experiment.budget for outcome in outcomes)


def _points(outcome: Outcome, full: int) -> dict[float, list[float]]:
    """Return the errors of the finished replicates by cost, for every number of complete runs."""
    experiment, first = outcome.experiment, outcome.finished[0]
    run_size = 1 if experiment.method == "ensemble" else len(first.members) // experiment.independent_runs
    sizes = range(run_size, len(first.members) + 1, run_size)
    return {_cost(first, m, full): [scores.last[m - 1].error for scores in outcome.finished] for m in sizes}


def _cost(scores: Scores, members: int, full: int) -> float:
    """Return the cost of the runs of the last `members` members, in full budgets of `full` epochs."""
    return plan.cost(dict.fromkeys(scores.runs[member.run].config for member in scores.members[-members:]), full)


def _draw(axes: Axes, outcomes: Sequence[Outcome], labels: Sequence[str]) -> list[LineEnd]:
    points = [_points(outcome, _full_budget(outcomes)) for outcome in outcomes]
    costs = sorted({cost for by_cost in points for cost in by_cost})
    span = max(1.0, costs[-1] - min(costs[0], 1))
    single_points = [index for index, by_cost in enumerate(points) if len(by_cost) == 1]
    shifts = dict(zip(single_points, lines.shifts(len(single_points), 0.045 * span), strict=True))
    ends = []
    for index, (outcome, label, by_cost) in enumerate(zip(outcomes, labels, points, strict=True)):
        shifted = {cost + shifts.get(index, 0): values for cost, values in by_cost.items()}
        ends.append(lines.draw_means(axes, label, look(outcome.experiment), shifted))
    axes.set_xlim(costs[0] - 0.2 * span, costs[-1] + 0.2 * span)
    axes.set_xticks([cost for cost in costs if cost == int(cost)])
    axes.margins(y=0.08)
    return ends


def _describe(outcomes: Sequence[Outcome]) -> str:
    def words(outcome: Outcome) -> str:
        points = _points(outcome, _full_budget(outcomes)).items()
        return f"{outcome.label} " + ", ".join(f"{fmean(values):.2f} % at {cost:g}" for cost, values in points)

    return f"{outcomes[0].group}: {', '.join(map(words, outcomes))}"
