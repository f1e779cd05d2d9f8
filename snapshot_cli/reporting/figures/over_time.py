"""Draw the errors of snapshot k and of the ensemble of the first k, with a panel per experiment (Figures 7 and 8)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from matplotlib.axes import Axes

from snapshot_cli.analysis.outcomes import Outcome, count_cells, find_baseline
from snapshot_cli.analysis.statistics import means
from snapshot_cli.reporting import claims, lines, style
from snapshot_cli.reporting.drawn import Drawn, Picture, Request
from snapshot_cli.reporting.style import LineEnd, Look, look

CAPTION = (
    "Error of snapshot k and of the ensemble of the first k snapshots, against k. The ensemble should be below its "
    "members and end below the dashed single model."
)
NEEDS = "a run with several snapshots"
ALONE, ENSEMBLE, SINGLE = "Snapshot k alone", "Ensemble of the first k", "Single model"
MIXED = Look("#222222", "s")
"""The look of ensembles if panels have different methods."""


def draw(outcomes: Sequence[Outcome], request: Request) -> list[Drawn]:
    """Draw the errors of snapshots and ensembles, averaged over seeds, and the error of the single model."""
    shown = [outcome for outcome in outcomes if outcome.run and outcome.members > 1]
    if not shown:
        return []
    singles = [find_baseline(outcome, outcomes, "single") for outcome in shown]
    parts = [[outcome, *([single] if single else [])] for outcome, single in zip(shown, singles, strict=True)]
    looks = {look(outcome.experiment) for outcome in shown}
    ensemble = looks.pop() if len(looks) == 1 else MIXED
    headings = [lines.heading(part, method=part[0].label) for part in parts]
    figure = partial(
        lines.small_multiples,
        parts,
        [[ALONE, ENSEMBLE, SINGLE][: 1 + len(part)] for part in parts],
        lambda axes, part, _: _draw(axes, part, ensemble),
        x="Snapshot k",
        headings=headings,
        columns=3 if len(parts) % 4 else 4,
    )
    cells = count_cells([outcome for outcome in outcomes if outcome in shown or outcome in singles])
    notes = [*lines.seeds_note(shown), *lines.compare_with_paper(shown), *claims.further(shown, "members")]
    return [Picture(request, CAPTION, figure, "; ".join(map(describe, shown)), cells, notes)]


def describe(outcome: Outcome) -> str:
    """Return the mean errors of the snapshots and of the ensembles of the first k as text."""
    alone, ensembles = (lines.format_percents(means(outcome.errors_of(networks))) for networks in ("alone", "first"))
    return f"{outcome.group}, {outcome.label}: snapshots {alone}, ensembles {ensembles}"


def _draw(axes: Axes, part: Sequence[Outcome], ensemble: Look) -> list[LineEnd]:
    outcome, *single = part
    members = outcome.members
    x = range(1, members + 1)
    axes.set_xlim(1 - 0.06 * members, members + 0.06 * members)
    ends = [
        lines.draw_line(axes, ALONE, style.ALONE, x, outcome.errors_of("alone"), shift=0.012 * members),
        lines.draw_line(axes, ENSEMBLE, ensemble, x, outcome.errors_of("first"), shift=-0.012 * members),
    ]
    ends += [lines.draw_level(axes, SINGLE, look(model.experiment), model.error) for model in single]
    axes.set_xticks(style.integer_ticks(members))
    axes.margins(y=0.1)
    return ends
