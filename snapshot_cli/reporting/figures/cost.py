"""Error against training cost: what M networks for free cost beside those that are paid for."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from snapshot_cli.config import plan
from snapshot_cli.reporting import lines
from snapshot_cli.reporting.drawn import Drawn, Picture, Request
from snapshot_cli.reporting.outcomes import Outcome, group_by, mean
from snapshot_cli.reporting.style import LineEnd, look
from snapshot_cli.scores import Scores

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CAPTION = (
    "Error against training cost in full budgets: what lies low on the left is free. True ensembles and replicas of "
    "snapshot ensembles are drawn at every size; methods of the same cost stand side by side."
)
NEEDS = "two methods to compare, or ensembles of several runs"


def draw(outcomes: Sequence[Outcome], request: Request) -> list[Drawn]:
    """Draw the mean over seeds of every method at its cost; a full budget is the largest of a panel."""
    groups = [part for _, part in group_by([each for each in outcomes if each.scores], "network", "dataset")]
    parts = [part for part in groups if sum(len(_points(outcome, 1)) for outcome in part) > 1]
    if not parts:
        return []
    shown = [outcome for part in parts for outcome in part]
    figure = partial(lines.small_multiples, parts, lines.label_lines(parts), _draw, x="Training cost (full budgets)")
    words = "; ".join(map(_in_words, parts))
    return [Picture(request, CAPTION, figure, words, lines.count_cells(shown), lines.seeds_note(shown))]


def _full(outcomes: Sequence[Outcome]) -> int:
    return max(outcome.experiment.budget for outcome in outcomes)


def _points(outcome: Outcome, full: int) -> dict[float, list[float]]:
    """Return the errors of the finished replicates by cost, at every number of whole runs."""
    experiment, first = outcome.experiment, outcome.finished[0]
    run = 1 if experiment.method == "ensemble" else len(first.members) // experiment.replicas
    sizes = range(run, len(first.members) + 1, run)
    return {_cost(first, m, full): [scores.last[m - 1].error for scores in outcome.finished] for m in sizes}


def _cost(scores: Scores, members: int, full: int) -> float:
    """Return what the runs of the last members cost, in full budgets of so many epochs."""
    runs = [(scores.runs[member.run].config, member.snapshot) for member in scores.members[-members:]]
    return plan.cost([plan.Member(run, snapshot) for run, snapshot in runs], full)


def _draw(axes: Axes, outcomes: Sequence[Outcome], labels: Sequence[str]) -> list[LineEnd]:
    points = [_points(outcome, _full(outcomes)) for outcome in outcomes]
    costs = sorted({cost for each in points for cost in each})
    wide = max(1.0, costs[-1] - min(costs[0], 1))
    alone = [place for place, each in enumerate(points) if len(each) == 1]
    aside = dict(zip(alone, lines.shifts(len(alone), 0.045 * wide), strict=True))
    ends = []
    for place, (outcome, label, each) in enumerate(zip(outcomes, labels, points, strict=True)):
        moved = {cost + aside.get(place, 0): values for cost, values in each.items()}
        ends.append(lines.draw_means(axes, label, look(outcome.experiment), moved))
    axes.set_xlim(costs[0] - 0.2 * wide, costs[-1] + 0.2 * wide)
    axes.set_xticks([cost for cost in costs if cost == int(cost)])
    axes.margins(y=0.08)
    return ends


def _in_words(outcomes: Sequence[Outcome]) -> str:
    def words(outcome: Outcome) -> str:
        points = _points(outcome, _full(outcomes)).items()
        return f"{outcome.label} " + ", ".join(f"{mean(values):.2f} % at {cost:g}" for cost, values in points)

    return f"{outcomes[0].group}: {', '.join(map(words, outcomes))}"
