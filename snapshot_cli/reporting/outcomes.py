"""The experiments of a study with the scores of what is finished: what every table and figure is drawn from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from snapshot_cli.analysis import paper, scoring
from snapshot_cli.analysis.statistics import mean_interval
from snapshot_cli.config import plan
from snapshot_cli.config.experiment import Experiment, Method, Recipe, Run
from snapshot_cli.config.machine import processors
from snapshot_cli.config.study import Split, Study
from snapshot_cli.errors import UserError, unfinished_run
from snapshot_cli.reporting import labels
from snapshot_cli.run_directory import RunDirectory
from snapshot_cli.scores import Metrics, Scores, TrainedRun

THREADS = 4  # at most, since each holds the predictions of an ensemble
METHOD_FIELDS = {"method", "drops", "alpha0", "cycles", "dropout", "stochastic_depth", "replicas", "replicates"}
"""The settings in which two experiments of one question may differ."""


@dataclass(frozen=True)
class Outcome:
    """An experiment, what tables call it, and the scores of its finished replicates by number."""

    experiment: Experiment
    label: str
    scores: Mapping[int, Scores]
    split: Split = "test"

    @property
    def finished(self) -> list[Scores]:
        """The scores of the finished replicates, in order."""
        return list(self.scores.values())

    @property
    def is_complete(self) -> bool:
        """Whether all replicates are finished."""
        return len(self.scores) == self.experiment.replicates

    @property
    def group(self) -> str:
        """Network and dataset as people print them."""
        return f"{labels.network(self.experiment.network)} on {labels.dataset(self.experiment.dataset)}"

    @property
    def seeds(self) -> str:
        """The finished replicates in words: "1 seed", "5 seeds", "3 of 5 seeds"."""
        planned, done = self.experiment.replicates, len(self.scores)
        of_planned = f" of {planned}" if done < planned else ""
        return f"{done}{of_planned} seed{'s' * (max(planned, done) > 1)}"

    @cached_property
    def errors(self) -> list[float]:
        """The errors in percent of the ensembles of all members, one a finished replicate."""
        return [scores.ensemble.error for scores in self.finished]

    @property
    def error(self) -> float:
        """Their mean; of one finished replicate or more."""
        return mean(self.errors)

    def over(self, value: Callable[[Scores], Sequence[float]]) -> list[list[float]]:
        """Return a list of numbers of every finished replicate."""
        return [list(value(scores)) for scores in self.finished]

    @property
    def run(self) -> TrainedRun | None:
        """The run of the first finished replicate, None where there is none or its members are of several runs."""
        return self.finished[0].only_run if self.scores else None


def errors(metrics: Iterable[Metrics]) -> list[float]:
    """Return the errors in percent of some members or ensembles."""
    return [each.error for each in metrics]


def collect(study: Study, results: Path, dataset_hashes: Mapping[str, str]) -> list[Outcome]:
    """Return the experiments of a study, in order, with the scores of what is finished.

    Raises UserError where runs of two experiments were trained on different images of one dataset, or on others than
    those prepared now, whose content hashes `dataset_hashes` has by name.
    """
    names = labels.methods(study.experiments)

    def outcome(experiment: Experiment) -> Outcome:
        cells = [plan.cell(experiment, replicate=r) for r in range(experiment.replicates)]
        scores = {cell.replicate: scoring.find(cell, results, study.split) for cell in cells}
        finished = {replicate: found for replicate, found in scores.items() if found is not None}
        return Outcome(experiment, names[experiment], finished, study.split)

    with ThreadPoolExecutor(min(THREADS, processors())) as pool:
        outcomes = list(pool.map(outcome, study.experiments))
    scoring.check_same_images([scores for each in outcomes for scores in each.finished], dataset_hashes)
    return outcomes


def of_runs(directories: Sequence[RunDirectory], split: Split = "test") -> list[Outcome]:
    """Return finished runs as the experiments that each is enough for.

    A cosine run is a snapshot ensemble; a step run is a single model and NoCycle. Raises UserError for a run that is
    not finished or that trained one cycle alone.
    """
    experiments: dict[Experiment, RunDirectory] = {}
    for directory in directories:
        run = directory.run
        if directory.status != "done":
            raise unfinished_run(directory.path)
        if run.cycle is not None:
            raise UserError(f"{directory.path}: contains a single cycle, not an ensemble; give its study instead")
        settings = {name: getattr(run, name) for name in Recipe.model_fields}
        for method in _methods(run):
            experiments[Experiment(**settings, method=method)] = directory
    names = labels.methods(list(experiments))
    outcomes = []
    for experiment, directory in experiments.items():
        members = [(directory, member.snapshot) for member in plan.cell(experiment).members]
        scores = scoring.score(members, split=split, experiment=experiment)
        outcomes.append(Outcome(experiment, names[experiment], {0: scores}, split))
    return outcomes


def _methods(run: Run) -> tuple[Method, ...]:
    return ("snapshot",) if run.schedule == "cosine" else ("single", "nocycle")


def relabelled(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Return some of a study's experiments with labels that tell these from one another."""
    names = labels.methods([outcome.experiment for outcome in outcomes])
    return [replace(outcome, label=names[outcome.experiment]) for outcome in outcomes]


def mean(values: Sequence[float]) -> float:
    """Return the mean over replicates."""
    return mean_interval(values)[0]


def half_interval(values: Sequence[float]) -> float | None:
    """Return half of the 95 % confidence interval of the mean over replicates, None for one."""
    return mean_interval(values)[1]


def means(values: Sequence[Sequence[float]]) -> list[float]:
    """Return the mean of every column of values (replicates, points)."""
    return [mean(column) for column in zip(*values, strict=True)]


def half_intervals(values: Sequence[Sequence[float]]) -> list[float]:
    """Return half of the interval for every column of values (replicates, points); nothing for one replicate."""
    halves = [half_interval(column) for column in zip(*values, strict=True)]
    return [half for half in halves if half is not None]


def paper_value(outcome: Outcome, size: int | None = None) -> paper.PaperValue | None:
    """Return the paper's number for an experiment that is the paper's in every respect, None for any other.

    `size` asks for the ensemble of the last so many members in place of all. The paper's errors are of test images.
    """
    experiment = outcome.experiment
    if outcome.split != "test" or experiment.replicas > 1 or not paper.is_full_size(experiment):
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


def baseline(outcome: Outcome, outcomes: Sequence[Outcome], method: Method) -> Outcome | None:
    """Return the experiment of a plain method, with something finished, to compare another with; None without one.

    They differ in nothing but what makes a method; of several it is the nearest in what both methods have.
    """
    compared = outcome.experiment
    candidates = [
        other
        for other in outcomes
        if other.scores and other.experiment.method == method and not plan.implicit(other.experiment)
        if other.experiment.model_dump(exclude=METHOD_FIELDS) == compared.model_dump(exclude=METHOD_FIELDS)
    ]
    return min(candidates, key=lambda other: _distance(other.experiment, compared), default=None)


def _distance(one: Experiment, other: Experiment) -> list[bool]:
    return [getattr(one, name) != getattr(other, name) for name in ("alpha0", "drops", "cycles")]


def grouped(outcomes: Sequence[Outcome], *fields: str) -> Iterator[tuple[tuple[str, ...], list[Outcome]]]:
    """Yield the experiments that agree in some fields, in their first's order, with the fields' values."""
    groups: dict[tuple[str, ...], list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault(tuple(str(getattr(outcome.experiment, name)) for name in fields), []).append(outcome)
    yield from groups.items()
