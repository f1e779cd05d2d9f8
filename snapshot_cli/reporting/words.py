"""Scores as a person reads them on a terminal, and as JSON for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.table import Table

from snapshot_cli.analysis.cells import Scored
from snapshot_cli.config.experiment import Experiment
from snapshot_cli.reporting import titles


def as_json(scored: Scored) -> dict[str, Any]:
    """Return members and ensembles of the last m members; errors in percent, ece a fraction."""
    evaluation, run = scored.evaluation, scored.members[0].run
    return {
        "method": scored.experiment and scored.experiment.method,
        "dataset": run.dataset,
        "network": run.network,
        "split": scored.split,
        "examples": scored.examples,
        "members": [
            {"run": member.run.run_id, "snapshot": member.snapshot, "top1_error": s.top1_error, "nll": s.nll}
            for member, s in zip(scored.members, evaluation.members, strict=True)
        ],
        "ensembles": [
            {"size": size, "top1_error": s.top1_error, "top5_error": s.top5_error, "nll": s.nll, "ece": s.ece}
            for size, s in enumerate(evaluation.ensembles, start=1)
        ],
    }


def study_as_json(name: str | None, scored: Sequence[Scored]) -> dict[str, Any]:
    """Return the cells of a study, or the replicates of an experiment, each with what tells it from the others."""
    labels = _labels(scored)
    cells = []
    for each in scored:
        run = each.members[0].run
        settings = {"alpha0": run.alpha0, "cycles": run.cycles, "budget": run.budget, "replicate": each.replicate}
        cells.append({"label": labels[each.experiment], **settings, **as_json(each)})
    return {"study": name, "cells": cells}


def members_and_ensembles(scored: Scored) -> Table:
    """Return a table with a line for every member and, beside it, the ensemble of the last m members."""
    run, method = scored.members[0].run, _labels([scored])[scored.experiment]
    table = Table(title=f"{method}: {run.network} on {run.dataset}, {scored.examples:,} images, errors in %")
    for heading in ("member", "error", "NLL", "last m", "ensemble error", "NLL", "ECE"):
        table.add_column(heading, justify="right")
    runs = {member.run for member in scored.members}
    alike = len({run.seed for run in runs}) < len(runs)
    pairs = zip(scored.members, scored.evaluation.members, scored.evaluation.ensembles, strict=True)
    for size, (member, alone, ensemble) in enumerate(pairs, start=1):
        of = f"{member.run.run_id}, " if alike else f"seed {member.run.seed}, " if len(runs) > 1 else ""
        name = f"{of}snapshot {member.snapshot}"
        left = (name, f"{alone.top1_error:.2f}", f"{alone.nll:.4f}")
        table.add_row(*left, str(size), f"{ensemble.top1_error:.2f}", f"{ensemble.nll:.4f}", f"{ensemble.ece:.4f}")
    return table


def side_by_side(scored: Sequence[Scored]) -> list[Table]:
    """Return a table for every dataset and network, a line a method and replicate, a column an ensemble size."""
    tables: dict[tuple[str, str], Table] = {}
    sizes = max(len(each.members) for each in scored)
    labels = _labels(scored)
    replicates = any(each.replicate for each in scored)
    for each in scored:
        run = each.members[0].run
        table = tables.get((run.dataset, run.network))
        if table is None:
            title = f"{run.network} on {run.dataset}, {each.examples:,} images: error (%) of the last m members"
            table = tables[run.dataset, run.network] = Table(title=title)
            table.add_column("method")
            for m in range(1, sizes + 1):
                table.add_column(f"m = {m}", justify="right")
        name = labels[each.experiment]
        name += f", replicate {each.replicate}" if replicates else ""
        table.add_row(name, *(f"{s.top1_error:.2f}" for s in each.evaluation.ensembles))
    return list(tables.values())


def _labels(scored: Sequence[Scored]) -> dict[Experiment | None, str]:
    """Return what to call each experiment; where there is none, run directories were asked for."""
    experiments = dict.fromkeys(each.experiment for each in scored if each.experiment)
    return dict([(None, "run directories"), *titles.methods(list(experiments)).items()])
