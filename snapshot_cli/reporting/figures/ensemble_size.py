"""Draw the error against the ensemble size, with a panel per network and dataset (Figures 3 and 4 right)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from matplotlib.axes import Axes

from snapshot_cli.analysis.outcomes import Outcome, count_cells, paper_value, split_by_panel
from snapshot_cli.analysis.statistics import means
from snapshot_cli.reporting import claims, lines, style
from snapshot_cli.reporting.drawn import Drawn, Picture, Request
from snapshot_cli.reporting.style import LineEnd, look

CAPTION = (
    "Error of the ensemble of the last m members against m. Do the lines fall with m, and below the dashed single "
    "model?"
)
NEEDS = "a method with several members"


def draw(outcomes: Sequence[Outcome], request: Request) -> list[Drawn]:
    """Draw one line per method: the mean over seeds at every size. Methods with one member are a dashed level."""
    parts = [part for part in split_by_panel(outcomes) if any(outcome.members > 1 for outcome in part)]
    if not parts:
        return []
    shown = [outcome for part in parts for outcome in part]
    figure = partial(
        lines.small_multiples,
        parts,
        lines.label_lines(parts),
        _draw,
        x="m, number of last members averaged",
        paper=any(_paper_values(outcome) for outcome in shown),
    )
    notes = [*lines.seeds_note(shown), *lines.compare_with_paper(shown), *claims.further(shown, "two-members")]
    return [Picture(request, CAPTION, figure, "; ".join(map(_describe, parts)), count_cells(shown), notes)]


def _draw(axes: Axes, outcomes: Sequence[Outcome], labels: Sequence[str]) -> list[LineEnd]:
    largest = max(outcome.members for outcome in outcomes)
    axes.set_xlim(1 - 0.06 * largest, largest + 0.06 * largest)
    ends = []
    for outcome, label, shift in zip(outcomes, labels, lines.shifts(len(outcomes), 0.012 * largest), strict=True):
        line_look = look(outcome.experiment)
        lines.draw_paper(axes, _paper_values(outcome), line_look)
        if outcome.members == 1:
            ends.append(lines.draw_level(axes, label, line_look, outcome.error))
        else:
            sizes, values = range(1, outcome.members + 1), outcome.errors_of("last")
            ends.append(lines.draw_line(axes, label, line_look, sizes, values, shift=shift))
    axes.set_xticks(style.integer_ticks(largest))
    axes.margins(y=0.08)
    return ends


def _paper_values(outcome: Outcome) -> dict[float, tuple[float, float | None]]:
    sizes = range(1, outcome.members + 1)
    values = {m: paper_value(outcome, m if outcome.members > 1 else None) for m in sizes}
    return {m: lines.with_uncertainty(value) for m, value in values.items() if value}


def _describe(outcomes: Sequence[Outcome]) -> str:
    def words(outcome: Outcome) -> str:
        first, *larger = means(outcome.errors_of("last"))
        return f"{outcome.label} from {first:.2f} to {larger[-1]:.2f} %" if larger else f"{outcome.label} {first:.2f} %"

    return f"{outcomes[0].group}: {', '.join(map(words, outcomes))}"
