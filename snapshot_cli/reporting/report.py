"""The tables and figures of a study, drawn from whatever of its runs is finished."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from snapshot_cli.analysis import cells, paper
from snapshot_cli.analysis.cells import Scored
from snapshot_cli.analysis.statistics import mean_interval
from snapshot_cli.config import plan
from snapshot_cli.config.experiment import Experiment
from snapshot_cli.config.study import Study
from snapshot_cli.reporting import figures, tables, titles


@dataclass(frozen=True)
class Entry:
    """An experiment of a study, the scores of its finished replicates, and how many runs of all are missing."""

    experiment: Experiment
    method: str
    scored: tuple[Scored, ...]
    runs: int
    missing: int


def write(study: Study, results: Path, dataset_hashes: Mapping[str, str], *, called: str | None = None) -> list[Path]:
    """Write every table and figure that a study renders into the folder of results and return the files.

    `called` is what a person gives to `snapshot reproduce` for this study, told beside what is missing.
    """
    entries = collect(study, results, dataset_hashes)
    paths: list[Path] = []
    for stem, kind in study.render.items():
        if kind == "methods":
            rows = [row(entry) for entry in entries]
            paths += tables.write_table(rows, results / stem, title=study.title, notes=[], study=called)
        else:
            for name, figure_entries in _by_network_and_dataset(entries, stem):
                paths += ensemble_size(figure_entries, results / name)
    return paths


def collect(study: Study, results: Path, dataset_hashes: Mapping[str, str]) -> list[Entry]:
    """Return the experiments of a study, in order, with the scores of what is finished."""
    labels = titles.methods(study.experiments)
    grouped: dict[Experiment, list[plan.Cell]] = {}
    for cell in plan.expand(study):
        grouped.setdefault(cell.experiment, []).append(cell)
    entries = []
    for experiment, replicates in grouped.items():
        lacking = [cells.missing(cell, results) for cell in replicates]
        finished = [cell for cell, runs in zip(replicates, lacking, strict=True) if not runs]
        scored = tuple(cells.score_cell(cell, results, dataset_hashes) for cell in finished)
        runs = len({run for cell in replicates for run in cell.runs})
        missing = len({run for runs_ in lacking for run in runs_})
        entries.append(Entry(experiment, labels[experiment], scored, runs, missing))
    return entries


def row(entry: Entry) -> tables.Row:
    """Return the line of a table for an experiment: the mean over replicates, its interval and the paper's value."""
    experiment = entry.experiment
    value = paper_value(experiment)
    errors = [scored.error for scored in entry.scored]
    error, spread = mean_interval(errors) if errors else (None, None)
    return tables.Row(
        dataset=titles.dataset(experiment.dataset),
        network=titles.network(experiment.network),
        method=entry.method,
        error=error,
        replicates=len(errors),
        spread=spread,
        paper=value.value if value else None,
        status=value.status if value else None,
        missing=entry.missing,
        runs=entry.runs,
    )


def paper_value(experiment: Experiment) -> paper.PaperValue | None:
    """Return the paper's number for an experiment that is the paper's in every respect, None for any other."""
    if not paper.is_full_size(experiment):
        return None
    return paper.lookup(
        dataset=experiment.dataset,
        network=experiment.network,
        method=experiment.method,
        alpha0=experiment.alpha0,
        cycles=experiment.cycles,
        budget=experiment.budget,
    )


def ensemble_size(entries: Sequence[Entry], stem: Path) -> list[Path]:
    """Write the figure of error against ensemble size, means over replicates, with the single model dashed."""
    finished = [entry for entry in entries if entry.scored]
    if all(entry.experiment.method == "single" for entry in finished):
        return []
    means = {entry.method: _mean_errors(entry.scored) for entry in finished}
    single = next((means[e.method][0] for e in finished if e.experiment.method == "single"), None)
    curves = [
        figures.Curve(entry.method, entry.experiment.method, entry.experiment.alpha0, means[entry.method])
        for entry in finished
        if entry.experiment.method != "single"
    ]
    first = finished[0].experiment
    title = f"{titles.network(first.network)} on {titles.dataset(first.dataset)}"
    return figures.save(figures.ensemble_size(curves, single=single, title=title), stem)


def _mean_errors(scored: Sequence[Scored]) -> list[float]:
    errors = [[ensemble.top1_error for ensemble in each.evaluation.ensembles] for each in scored]
    return [float(value) for value in np.mean(errors, axis=0)]


def _by_network_and_dataset(entries: Sequence[Entry], stem: str) -> Iterator[tuple[str, list[Entry]]]:
    """Yield a file's stem and the experiments of each network and dataset; the stem alone where there is one pair."""
    pairs = list(dict.fromkeys((entry.experiment.network, entry.experiment.dataset) for entry in entries))
    for pair in pairs:
        name = stem if len(pairs) == 1 else "-".join([stem, *pair])
        yield name, [entry for entry in entries if (entry.experiment.network, entry.experiment.dataset) == pair]
