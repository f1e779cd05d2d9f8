"""Draw the learning rate against epochs, with the snapshots as markers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from snapshot_cli.reporting import lines, lr_curve
from snapshot_cli.reporting.drawn import Drawn, Picture, Request, split_by_pair
from snapshot_cli.reporting.lr_curve import LRCurve
from snapshot_cli.reporting.outcomes import Outcome
from snapshot_cli.reporting.style import look

PER = ("network", "dataset")
CAPTION = "Learning rate against epochs; marks are snapshots."
NEEDS = "a method of one run"


def draw(outcomes: Sequence[Outcome], request: Request) -> list[Drawn]:
    """Draw one figure per network and dataset: the learning rate of every single-run method."""
    drawn: list[Drawn] = []
    for part, part_request in split_by_pair(single_run_outcomes(outcomes), request):
        curves = [curve(outcome) for outcome in part]
        figure = partial(lr_curve.draw_curves, curves, replace(lines.heading(part), facts=("the same for every seed",)))
        words = ", ".join(f"{line.label} with {len(line.snapshots)} snapshots" for line in curves)
        drawn.append(Picture(part_request, CAPTION, figure, f"{part[0].group}: {words}", lines.count_cells(part)))
    return drawn


def single_run_outcomes(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Return the experiments with one finished run per replicate; of experiments that share a run, only the first."""
    first: dict[frozenset[str], Outcome] = {}
    for outcome in outcomes:
        if outcome.run:
            first.setdefault(frozenset(outcome.finished[0].runs), outcome)
    return list(first.values())


def curve(outcome: Outcome) -> LRCurve:
    """Return the learning-rate curve of an experiment's run."""
    run = outcome.run
    assert run, "an experiment of one run"
    return lr_curve.plan_curve(run.config, run.train_examples, label=outcome.label, look=look(outcome.experiment))
