"""Format scores as tables for the terminal, and as JSON for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.table import Table

from snapshot_cli.analysis import labels
from snapshot_cli.analysis.outcomes import Outcome
from snapshot_cli.analysis.statistics import mean
from snapshot_cli.config.experiment import Experiment
from snapshot_cli.scores import Choice, Metrics, Scores

RUN_DIRECTORIES = "run directories"
"""The label of an ensemble of run directories, which has no experiment."""


def as_json(scores: Scores) -> dict[str, Any]:
    """Return the metrics of the members and of the ensembles of the last m; errors in percent, ECE a fraction."""
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
    """Return the cells of a study, or the replicates of an experiment, with their distinguishing settings."""
    cells = []
    for outcome in outcomes:
        experiment = outcome.experiment
        settings = {"alpha0": experiment.alpha0, "cycles": experiment.cycles, "budget": experiment.budget}
        for replicate, scores in outcome.scores.items():
            cells.append({"label": outcome.label, **settings, "replicate": replicate, **as_json(scores)})
    return {"study": name, "cells": cells}


def members_and_ensembles(scores: Scores) -> list[Table | str]:
    """Return a title, a table of the members and, with several members, a table of the ensembles of the last m."""
    run, title = _first_run(scores), _label(scores.experiment)
    title = f"{title}: {run.network} on {run.dataset}, {scores.images:,} images, errors in %"
    members = _table("member")
    for member, metrics in zip(scores.members, scores.alone, strict=True):
        seed = f"seed {scores.runs[member.run].config.seed}, " if len(scores.runs) > 1 else ""
        _add_row(members, f"{seed}snapshot {member.snapshot}", metrics)
    if len(scores.members) == 1:
        return [title, members]
    ensembles = _table("ensemble of the last")
    for size, metrics in enumerate(scores.last, start=1):
        _add_row(ensembles, str(size), metrics)
    return [title, members, ensembles, *(_describe_choice(choice) for choice in scores.chosen if choice.rule != "best")]


def _table(first: str) -> Table:
    table = Table()
    for heading in (first, "error", "NLL", "ECE"):
        table.add_column(heading, justify="right")
    return table


def _add_row(table: Table, name: str, metrics: Metrics) -> None:
    table.add_row(name, f"{metrics.error:.2f}", f"{metrics.nll:.4f}", f"{metrics.ece:.4f}")


def _describe_choice(choice: Choice) -> str:
    numbers = ", ".join(map(str, choice.members))
    return (
        f"chosen on the withheld images, {choice.rule}: members {numbers}, "
        f"{choice.withheld_error:.2f} % there, {choice.error:.2f} % on test images"
    )


def compare_methods(outcomes: Sequence[Outcome]) -> list[Table | str]:
    """Return a title and a table per dataset and network: mean errors by method (rows) and ensemble size (columns)."""
    tables: dict[tuple[str, str], Table] = {}
    shown: list[Table | str] = []
    finished = [outcome for outcome in outcomes if outcome.scores]
    sizes = max(len(outcome.finished[0].last) for outcome in finished)
    has_replicates = any(outcome.experiment.replicates > 1 for outcome in finished)
    for outcome in finished:
        experiment, first = outcome.experiment, outcome.finished[0]
        pair = (experiment.dataset, experiment.network)
        if pair not in tables:
            tables[pair] = Table()
            title = f"{experiment.network} on {experiment.dataset}, {first.images:,} images: error (%) of the last m"
            shown += [title, tables[pair]]
            tables[pair].add_column("method")
            if has_replicates:
                tables[pair].add_column("seeds", justify="right")
            for m in range(1, sizes + 1):
                tables[pair].add_column(f"m = {m}", justify="right")
        columns = zip(*([metrics.error for metrics in scores.last] for scores in outcome.finished), strict=True)
        seeds = [f"{len(outcome.scores)} of {experiment.replicates}"] if has_replicates else []
        tables[pair].add_row(outcome.label, *seeds, *(f"{mean(column):.2f}" for column in columns))
    return shown


def _first_run(scores: Scores) -> Any:
    return scores.runs[scores.members[0].run].config


def _label(experiment: Experiment | None) -> str:
    return RUN_DIRECTORIES if experiment is None else labels.methods([experiment])[experiment]
