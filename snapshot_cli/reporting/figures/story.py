"""Draw the whole method in one figure: learning rate, errors of the snapshots, and error of the growing ensemble."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from matplotlib.axes import Axes

from snapshot_cli.analysis.outcomes import Outcome, count_cells, find_baseline, group_by
from snapshot_cli.config.plan import implicit
from snapshot_cli.reporting import lines, style
from snapshot_cli.reporting.drawn import Drawn, Picture, Request
from snapshot_cli.reporting.figures import over_time, schedule
from snapshot_cli.reporting.style import LineEnd, look

CAPTION = (
    "Top: the learning rate of one run; a snapshot is saved at the end of every cycle. Bottom: the errors of the "
    "snapshots and of the ensemble of all snapshots so far. The ensemble should fall below the dashed single model, "
    "which has the same cost."
)
NEEDS = "a Snapshot run with several snapshots"
ALPHA0 = 0.2
"""The initial learning rate to show if there are several."""
ALONE, ENSEMBLE, SINGLE = "Snapshot alone", "Ensemble so far", "Single model"


def draw(outcomes: Sequence[Outcome], request: Request) -> list[Drawn]:
    """Draw one Snapshot experiment per network and dataset, averaged over seeds, against epochs."""
    parts = []
    for group in group_by(outcomes, "network", "dataset").values():
        snapshot = _choose_snapshot(group)
        if snapshot:
            single = find_baseline(snapshot, group, "single")
            parts.append([snapshot, *([single] if single else [])])
    if not parts:
        return []
    shown = [outcome for part in parts for outcome in part]
    names = [ALONE, ENSEMBLE, SINGLE][: 3 if any(len(part) > 1 for part in parts) else 2]
    figure = partial(
        lines.small_multiples,
        parts,
        [names] * len(parts),
        _draw,
        x="Epochs",
        headings=[lines.heading(part, method=part[0].label) for part in parts],
        heights=(0.8, 2.0),
        width=5.0 if len(parts) == 1 else None,
    )
    words = "; ".join(map(_describe, parts))
    return [Picture(request, CAPTION, figure, words, count_cells(shown), lines.seeds_note(shown))]


def _choose_snapshot(outcomes: Sequence[Outcome]) -> Outcome | None:
    plain = [
        outcome
        for outcome in outcomes
        if outcome.experiment.method == "snapshot" and not implicit(outcome.experiment)
        if outcome.run and outcome.members > 1
    ]
    return min(plain, key=lambda outcome: outcome.experiment.alpha0 != ALPHA0, default=None)


def _draw(above: Axes, below: Axes, part: Sequence[Outcome], _: Sequence[str]) -> list[LineEnd]:
    outcome, *single = part
    lrs = schedule.curve(outcome)
    schedule.draw_lrs(above, [lrs])
    schedule.draw_cycle_ends(below, lrs.snapshots, max_ticks=6)
    above.set_ylabel("Learning rate")
    epochs = lrs.snapshots
    shift = 0.012 * epochs[-1]
    ends = [
        lines.draw_line(below, ALONE, style.ALONE, epochs, outcome.errors_of("alone"), shift=-shift),
        lines.draw_line(
            below, ENSEMBLE, look(outcome.experiment), epochs, outcome.errors_of("first"), shift=-2 * shift
        ),
    ]
    ends += [lines.draw_level(below, SINGLE, look(model.experiment), model.error) for model in single]
    below.margins(y=0.08)
    return ends


def _describe(part: Sequence[Outcome]) -> str:
    outcome, *single = part
    return over_time.describe(outcome) + "".join(f", single model {model.error:.2f} %" for model in single)
