"""The experiments of a study with the scores of what is finished: what every table and figure is drawn from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from snapshot_cli.analysis import cells, paper
from snapshot_cli.analysis.cells import Scored
from snapshot_cli.analysis.statistics import mean_interval
from snapshot_cli.config import plan
from snapshot_cli.config.experiment import Experiment, Method, Recipe, Run
from snapshot_cli.config.study import Study
from snapshot_cli.errors import UserError, unfinished_run
from snapshot_cli.reporting import titles
from snapshot_cli.reporting.threads import in_threads
from snapshot_cli.run_directory import RunDirectory, Split

NAMED = 6  # of what is not finished; the rest is counted
FREE = {"method", "drops", "alpha0", "cycles", "dropout", "stochastic_depth", "replicas", "replicates"}  # by method


@dataclass(frozen=True)
class Entry:
    """An experiment of a study, the scores of its finished replicates, and how many runs of all are missing.

    `split` are the images that it is scored on.
    """

    experiment: Experiment
    method: str
    scored: tuple[Scored, ...]
    runs: int
    missing: int
    split: Split = "test"

    @property
    def group(self) -> str:
        """Network and dataset as people print them."""
        return f"{titles.network(self.experiment.network)} on {titles.dataset(self.experiment.dataset)}"

    @property
    def directories(self) -> list[RunDirectory]:
        """The directories of the first finished replicate, in the order of its members, each once."""
        return list(dict.fromkeys(self.scored[0].directories)) if self.scored else []


def collect(study: Study, results: Path, dataset_hashes: Mapping[str, str]) -> list[Entry]:
    """Return the experiments of a study, in order, with the scores of what is finished.

    Raises UserError where runs of two experiments were trained on different images of one dataset.
    """
    labels = titles.methods(study.experiments)

    def entry(experiment: Experiment) -> Entry:
        replicates = [plan.cell(experiment, replicate=r) for r in range(experiment.replicates)]
        lacking = [cells.missing(cell.runs, results) for cell in replicates]
        finished = [cell for cell, runs in zip(replicates, lacking, strict=True) if not runs]
        scored = tuple(cells.score_cell(cell, results, dataset_hashes, split=study.split) for cell in finished)
        runs = len({run for cell in replicates for run in cell.runs})
        missing = len({run for runs_ in lacking for run in runs_})
        return Entry(experiment, labels[experiment], scored, runs, missing, study.split)

    entries = in_threads(entry, study.experiments)
    read = [directory for each in entries for scored in each.scored for directory in scored.directories]
    cells.check_hashes(dict.fromkeys(read), dataset_hashes)
    return entries


def of_runs(directories: Sequence[RunDirectory], dataset_hashes: Mapping[str, str]) -> list[Entry]:
    """Return finished runs as the experiments that they alone are enough for.

    A cosine run is a snapshot ensemble; a step run is a single model and NoCycle. Raises UserError for a run that is
    not finished or that trained one cycle alone.
    """
    experiments: dict[Experiment, RunDirectory] = {}
    for directory in directories:
        run = directory.run
        if directory.status != "done":
            raise unfinished_run(directory.path)
        if run.cycle is not None:
            raise UserError(
                f"{directory.path}: has one cycle alone, which is no ensemble; give its study with --config"
            )
        for method in _methods(run):
            settings = {name: getattr(run, name) for name in Recipe.model_fields}
            experiments[Experiment(**settings, method=method)] = directory
    labels = titles.methods(list(experiments))
    entries = []
    for experiment, directory in experiments.items():
        members = [(directory, member.snapshot) for member in plan.cell(experiment).members]
        entries.append(Entry(experiment, labels[experiment], (cells.score(members, dataset_hashes),), 1, 0))
    return entries


def _methods(run: Run) -> tuple[Method, ...]:
    return ("snapshot",) if run.schedule == "cosine" else ("single", "nocycle")


def unfinished(entries: Sequence[Entry], study: str | None) -> list[str]:
    """Return a sentence on the experiments of which runs are missing, nothing where all are finished.

    `study` is the name that a person gives to `snapshot reproduce`.
    """
    names = [f"{entry.group}, {entry.method}{_so_far(entry)}" for entry in entries if entry.missing]
    if not names:
        return []
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    way_out = f" snapshot reproduce {study} trains what is missing." if study else ""
    return [f"Not finished: {'; '.join(names[:NAMED])}{more}.{way_out}"]


def _so_far(entry: Entry) -> str:
    return f" ({len(entry.scored)} of {entry.experiment.replicates} seeds so far)" if entry.scored else ""


def errors(entry: Entry) -> list[list[float]]:
    """Return the errors in percent of the ensembles of the last m = 1..M members, a list a finished replicate."""
    return [[ensemble.top1_error for ensemble in each.evaluation.ensembles] for each in entry.scored]


def mean(values: Sequence[float]) -> float:
    """Return the mean over replicates."""
    return mean_interval(values)[0]


def spread(values: Sequence[float]) -> float | None:
    """Return half of the 95 % interval of the mean over replicates, None for one."""
    return mean_interval(values)[1]


def spreads(values: Sequence[Sequence[float]]) -> list[float]:
    """Return half of the interval for every column of values (replicates, points); nothing for one replicate."""
    found = [spread(column) for column in zip(*values, strict=True)]
    return [each for each in found if each is not None]


def means(values: Sequence[Sequence[float]]) -> list[float]:
    """Return the mean of every column of values (replicates, points)."""
    return [mean(column) for column in zip(*values, strict=True)]


def paper_value(entry: Entry, size: int | None = None) -> paper.PaperValue | None:
    """Return the paper's number for an experiment that is the paper's in every respect, None for any other.

    `size` asks for the ensemble of the last so many members in place of all. The paper's errors are of test images.
    """
    experiment = entry.experiment
    if entry.split != "test" or experiment.replicas > 1 or not paper.is_full_size(experiment):
        return None
    return paper.lookup(
        dataset=experiment.dataset,
        network=experiment.network,
        method=experiment.method,
        alpha0=experiment.alpha0,
        cycles=experiment.cycles,
        budget=experiment.budget,
        size=size,
    )


def baseline(entry: Entry, entries: Sequence[Entry], method: Method) -> Entry | None:
    """Return the finished experiment of a plain method that another is held against, None where there is none.

    They differ in nothing but what makes a method; of several it is the nearest in what both methods have.
    """
    mine = entry.experiment
    rivals = [
        each
        for each in entries
        if each.scored and each.experiment.method == method and not plan.implicit(each.experiment)
        if each.experiment.model_dump(exclude=FREE) == mine.model_dump(exclude=FREE)
    ]
    return min(rivals, key=lambda each: _distance(each.experiment, mine), default=None)


def _distance(one: Experiment, other: Experiment) -> list[bool]:
    return [getattr(one, name) != getattr(other, name) for name in ("alpha0", "drops", "cycles")]


def grouped(entries: Sequence[Entry], *fields: str) -> Iterator[tuple[tuple[str, ...], list[Entry]]]:
    """Yield the experiments that agree in some fields, in the order of their first, with the values of the fields."""
    groups: dict[tuple[str, ...], list[Entry]] = {}
    for entry in entries:
        groups.setdefault(tuple(str(getattr(entry.experiment, name)) for name in fields), []).append(entry)
    yield from groups.items()
