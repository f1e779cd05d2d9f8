"""Draw the whole method in one figure: learning rate, errors of the snapshots, and error of the growing ensemble."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from snapshot_cli.analysis.outcomes import Outcome, find_baseline, group_by
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
    words = "; ".join(map(_describe, parts))
    return [
        Picture(request, CAPTION, partial(_figure, parts), words, lines.count_cells(shown), lines.seeds_note(shown))
    ]


def _choose_snapshot(outcomes: Sequence[Outcome]) -> Outcome | None:
    plain = [
        outcome
        for outcome in outcomes
        if outcome.experiment.method == "snapshot" and not implicit(outcome.experiment)
        if outcome.run and outcome.members > 1
    ]
    return min(plain, key=lambda outcome: outcome.experiment.alpha0 != ALPHA0, default=None)


def _figure(parts: Sequence[Sequence[Outcome]]) -> Figure:
    is_single = len(parts) == 1
    names = [ALONE, ENSEMBLE, SINGLE][: 3 if any(len(part) > 1 for part in parts) else 2]
    figure, drawn = style.panels(
        [lines.heading(part, method=part[0].label) for part in parts],
        heights=(0.8, 2.0),
        width=5.0 if is_single else style.TEXT_WIDTH,
        names=names if is_single else None,
        legend=None if is_single else names,
    )
    ends = [_draw(above, below, part) for (above, below), part in zip(drawn, parts, strict=True)]
    lines.share_y([below for _, below in drawn], parts)
    style.keep_outer_labels(drawn)
    if is_single:
        style.name_ends(drawn[0][1], ends[0])
    else:
        style.legend_below(figure, lines.legend_handles([below for _, below in drawn]))
    return figure


def _draw(above: Axes, below: Axes, part: Sequence[Outcome]) -> list[LineEnd]:
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
    below.set_xlabel("Epochs")
    below.set_ylabel("Error (%)")
    return ends


def _describe(part: Sequence[Outcome]) -> str:
    outcome, *single = part
    return over_time.describe(outcome) + "".join(f", single model {model.error:.2f} %" for model in single)
