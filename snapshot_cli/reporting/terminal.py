"""Scores as a person reads them on a terminal, and as JSON for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.table import Table

from snapshot_cli.analysis.statistics import mean_interval
from snapshot_cli.config.experiment import Experiment
from snapshot_cli.reporting import labels
from snapshot_cli.reporting.outcomes import Outcome
from snapshot_cli.scores import Choice, Metrics, Scores

TOGETHER = "run directories"
"""What is called an ensemble that is no experiment's."""


def as_json(scores: Scores) -> dict[str, Any]:
    """Return members and the ensembles of the last m members; errors in percent, ECE a fraction."""
    run = _first_run(scores)
    return {
        "method": scores.experiment and scores.experiment.method,
        "dataset": run.dataset,
        "network": run.network,
        "split": scores.split,
        "examples": scores.images,
        "members": [
            {"run": member.run, "snapshot": member.snapshot, **_numbers(metrics)}
            for member, metrics in zip(scores.members, scores.alone, strict=True)
        ],
        "ensembles": [{"size": size, **_numbers(metrics)} for size, metrics in enumerate(scores.last, start=1)],
        "chosen_on_holdout": [choice.model_dump() for choice in scores.chosen if choice.rule != "best"],
    }


def _numbers(metrics: Metrics) -> dict[str, float | None]:
    return {
        "top1_error": metrics.error,
        "top5_error": metrics.top5_error,
        "nll": metrics.nll,
        "brier": metrics.brier,
        "ece": metrics.ece,
        "calibrated_nll": metrics.calibrated_nll,
    }


def study_as_json(name: str | None, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return the cells of a study, or the replicates of an experiment, with what tells one from the others."""
    cells = []
    for outcome in outcomes:
        experiment = outcome.experiment
        settings = {"alpha0": experiment.alpha0, "cycles": experiment.cycles, "budget": experiment.budget}
        for replicate, scores in outcome.scores.items():
            cells.append({"label": outcome.label, **settings, "replicate": replicate, **as_json(scores)})
    return {"study": name, "cells": cells}


def members_and_ensembles(scores: Scores) -> list[Table | str]:
    """Return a line that says of what, a table of the members, and one of the ensembles of the last m of several."""
    run, title = _first_run(scores), _label(scores.experiment)
    title = f"{title}: {run.network} on {run.dataset}, {scores.images:,} images, errors in %"
    members = _table("member")
    for member, metrics in zip(scores.members, scores.alone, strict=True):
        seed = f"seed {scores.runs[member.run].config.seed}, " if len(scores.runs) > 1 else ""
        _add(members, f"{seed}snapshot {member.snapshot}", metrics)
    if len(scores.members) == 1:
        return [title, members]
    ensembles = _table("ensemble of the last")
    for size, metrics in enumerate(scores.last, start=1):
        _add(ensembles, str(size), metrics)
    return [title, members, ensembles, *(_choice(choice) for choice in scores.chosen if choice.rule != "best")]


def _table(first: str) -> Table:
    table = Table()
    for heading in (first, "error", "NLL", "ECE"):
        table.add_column(heading, justify="right")
    return table


def _add(table: Table, name: str, metrics: Metrics) -> None:
    table.add_row(name, f"{metrics.error:.2f}", f"{metrics.nll:.4f}", f"{metrics.ece:.4f}")


def _choice(choice: Choice) -> str:
    numbers = ", ".join(map(str, choice.members))
    return (
        f"chosen on the withheld images, {choice.rule}: members {numbers}, "
        f"{choice.withheld_error:.2f} % there, {choice.error:.2f} % on test images"
    )


def side_by_side(outcomes: Sequence[Outcome]) -> list[Table | str]:
    """Return a title and a table for every dataset and network: a line a method, a column an ensemble size; means."""
    tables: dict[tuple[str, str], Table] = {}
    shown: list[Table | str] = []
    finished = [outcome for outcome in outcomes if outcome.scores]
    sizes = max(len(outcome.finished[0].last) for outcome in finished)
    several = any(outcome.experiment.replicates > 1 for outcome in finished)
    for outcome in finished:
        experiment, first = outcome.experiment, outcome.finished[0]
        pair = (experiment.dataset, experiment.network)
        if pair not in tables:
            tables[pair] = Table()
            title = f"{experiment.network} on {experiment.dataset}, {first.images:,} images: error (%) of the last m"
            shown += [title, tables[pair]]
            tables[pair].add_column("method")
            if several:
                tables[pair].add_column("seeds", justify="right")
            for m in range(1, sizes + 1):
                tables[pair].add_column(f"m = {m}", justify="right")
        columns = zip(*([metrics.error for metrics in scores.last] for scores in outcome.finished), strict=True)
        seeds = [f"{len(outcome.scores)} of {experiment.replicates}"] if several else []
        tables[pair].add_row(outcome.label, *seeds, *(f"{mean_interval(column)[0]:.2f}" for column in columns))
    return shown


def _first_run(scores: Scores) -> Any:
    return scores.runs[scores.members[0].run].config


def _label(experiment: Experiment | None) -> str:
    return TOGETHER if experiment is None else labels.methods([experiment])[experiment]
