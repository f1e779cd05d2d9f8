"""What one run gives for free: its learning rate, the error of each snapshot, and that of the growing ensemble."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from snapshot_cli.config.plan import implicit
from snapshot_cli.reporting import lines, lr_curve, style
from snapshot_cli.reporting.drawn import Drawn, Picture, Request
from snapshot_cli.reporting.figures.schedule import curve
from snapshot_cli.reporting.outcomes import Outcome, errors, find_baseline, group_by, means
from snapshot_cli.reporting.style import LineEnd, look
from snapshot_cli.scores import Scores

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CAPTION = (
    "Above: the learning rate of one run; at the end of every cycle a snapshot is saved. Below: the error of each "
    "snapshot, and of the ensemble of the snapshots so far, which should fall below the dashed single model of the "
    "same cost."
)
NEEDS = "a Snapshot run with several snapshots"
ALPHA0 = 0.2
"""The initial learning rate that is told of where there are several."""
ALONE, ENSEMBLE, SINGLE = "Snapshot alone", "Ensemble so far", "Single model"


def draw(outcomes: Sequence[Outcome], request: Request) -> list[Drawn]:
    """Draw one Snapshot experiment a network and dataset, its means over seeds, on one axis of epochs."""
    parts = []
    for _, group in group_by(outcomes, "network", "dataset"):
        chosen = _chosen(group)
        if chosen:
            single = find_baseline(chosen, group, "single")
            parts.append([chosen, *([single] if single else [])])
    if not parts:
        return []
    shown = [outcome for part in parts for outcome in part]
    words = "; ".join(map(_in_words, parts))
    return [
        Picture(request, CAPTION, partial(_figure, parts), words, lines.count_cells(shown), lines.seeds_note(shown))
    ]


def _chosen(outcomes: Sequence[Outcome]) -> Outcome | None:
    plain = [
        outcome
        for outcome in outcomes
        if outcome.experiment.method == "snapshot" and not implicit(outcome.experiment)
        if outcome.run and len(outcome.finished[0].members) > 1
    ]
    return min(plain, key=lambda outcome: outcome.experiment.alpha0 != ALPHA0, default=None)


def _figure(parts: Sequence[Sequence[Outcome]]) -> Figure:
    one = len(parts) == 1
    names = [ALONE, ENSEMBLE, SINGLE][: 3 if any(len(part) > 1 for part in parts) else 2]
    with style.style():
        figure, drawn = style.panels(
            [lines.heading(part, method=part[0].label) for part in parts],
            heights=(0.8, 2.0),
            width=5.0 if one else style.TEXT_WIDTH,
            names=names if one else None,
            legend=None if one else names,
        )
        ends = [_draw(above, below, part) for (above, below), part in zip(drawn, parts, strict=True)]
        lines.share_y([below for _, below in drawn], parts)
        style.keep_outer_labels(drawn)
        if one:
            style.name_ends(drawn[0][1], ends[0])
        else:
            style.legend_below(figure, lines.legend_handles([below for _, below in drawn]))
    return figure


def _draw(above: Axes, below: Axes, part: Sequence[Outcome]) -> list[LineEnd]:
    outcome, *single = part
    lrs = curve(outcome)
    lr_curve.draw_lrs(above, [lrs])
    lr_curve.draw_cycle_ends(below, lrs.snapshots, max_ticks=6)
    above.set_ylabel("Learning rate")
    epochs = lrs.snapshots
    shift = 0.012 * epochs[-1]
    ends = [
        lines.draw_line(below, ALONE, style.ALONE, epochs, outcome.by_replicate(_alone), shift=-shift),
        lines.draw_line(
            below, ENSEMBLE, look(outcome.experiment), epochs, outcome.by_replicate(_first), shift=-2 * shift
        ),
    ]
    ends += [lines.draw_level(below, SINGLE, look(each.experiment), each.error) for each in single]
    below.margins(y=0.08)
    below.set_xlabel("Epochs")
    below.set_ylabel("Error (%)")
    return ends


def _alone(scores: Scores) -> list[float]:
    return errors(scores.alone)


def _first(scores: Scores) -> list[float]:
    return errors(scores.first)


def _in_words(part: Sequence[Outcome]) -> str:
    outcome, *single = part
    alone, ensembles = (lines.format_percents(means(outcome.by_replicate(which))) for which in (_alone, _first))
    words = f"{outcome.group}, {outcome.label}: snapshots {alone}, ensembles {ensembles}"
    return words + "".join(f", single model {each.error:.2f} %" for each in single)
