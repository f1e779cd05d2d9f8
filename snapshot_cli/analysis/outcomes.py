"""Collect the experiments of a study with the scores of their finished replicates: the input of tables and figures."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import Literal

from snapshot_cli.analysis import labels, paper, scoring
from snapshot_cli.analysis.statistics import half_width
from snapshot_cli.config import plan
from snapshot_cli.config.experiment import Experiment, Method, Recipe, Run
from snapshot_cli.config.machine import processors
from snapshot_cli.config.study import Split, Study
from snapshot_cli.errors import UserError, unfinished_run
from snapshot_cli.run_directory import RunDirectory
from snapshot_cli.scores import Scores, TrainedRun

THREADS = 4  # at most: every thread may hold the predictions of an ensemble in memory
METHOD_FIELDS = {"method", "drops", "alpha0", "cycles", "dropout", "stochastic_depth", "independent_runs", "replicates"}
"""The settings in which a method and its baseline may differ."""


@dataclass(frozen=True)
class Outcome:
    """An experiment, its label in tables and figures, and the scores of its finished replicates by number."""

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
    def network(self) -> str:
        """The network in words: "ResNet-110"."""
        return labels.network(self.experiment.network)

    @property
    def dataset(self) -> str:
        """The dataset in words: "CIFAR-10"."""
        return labels.dataset(self.experiment.dataset)

    @property
    def group(self) -> str:
        """Network and dataset in words: "ResNet-110 on CIFAR-10"."""
        return f"{self.network} on {self.dataset}"

    @property
    def seeds(self) -> str:
        """The finished replicates in words: "1 seed", "5 seeds", "3 of 5 seeds"."""
        planned, finished = self.experiment.replicates, len(self.scores)
        of_planned = f" of {planned}" if finished < planned else ""
        return f"{finished}{of_planned} seed{'s' * (max(planned, finished) > 1)}"

    @cached_property
    def errors(self) -> list[float]:
        """The errors in percent of the full ensembles, one per finished replicate."""
        return [scores.ensemble.error for scores in self.finished]

    @property
    def error(self) -> float:
        """The mean of `errors`; needs at least one finished replicate."""
        return fmean(self.errors)

    @property
    def half_width(self) -> float | None:
        """The half-width of the 95 % interval of `error`; None for a single finished replicate."""
        return half_width(self.errors)

    def errors_of(self, networks: Literal["alone", "last", "first"]) -> list[list[float]]:
        """Return errors as (replicates, M): of the members alone, or of the ensembles of the last or first m = 1..M."""
        return [[metrics.error for metrics in getattr(scores, networks)] for scores in self.finished]

    @property
    def members(self) -> int:
        """The number M of members; 0 without a finished replicate."""
        return len(self.finished[0].members) if self.scores else 0

    @property
    def run(self) -> TrainedRun | None:
        """The run of the first finished replicate; None without one, or if its members come from several runs."""
        return self.finished[0].only_run if self.scores else None


def count_cells(outcomes: Iterable[Outcome]) -> int:
    """Return the number of scored cells of experiments."""
    return sum(len(outcome.scores) for outcome in outcomes)


def count_range(counts: Collection[int]) -> str:
    """Return the smallest and the largest count as text: "5" or "3 to 5"."""
    return f"{min(counts)}" if len(set(counts)) == 1 else f"{min(counts)} to {max(counts)}"


def collect(study: Study, results: Path, dataset_hashes: Mapping[str, str]) -> list[Outcome]:
    """Return the experiments of a study, in order, with the scores of their finished replicates.

    `dataset_hashes` has the content hashes of the prepared datasets by name. Raises UserError if runs on one dataset
    were trained on different images, or on other images than those prepared now.
    """
    names = labels.methods(study.experiments)

    def collect_outcome(experiment: Experiment) -> Outcome:
        cells = [plan.cell(experiment, replicate=r) for r in range(experiment.replicates)]
        by_replicate = {cell.replicate: scoring.find(cell, results, study.split) for cell in cells}
        finished = {replicate: scores for replicate, scores in by_replicate.items() if scores is not None}
        return Outcome(experiment, names[experiment], finished, study.split)

    with ThreadPoolExecutor(min(THREADS, processors())) as pool:
        outcomes = list(pool.map(collect_outcome, study.experiments))
    scoring.check_same_images([scores for outcome in outcomes for scores in outcome.finished], dataset_hashes)
    return outcomes


def score_runs(directories: Sequence[RunDirectory], split: Split = "test") -> list[Outcome]:
    """Score finished runs as the experiments that need no other run.

    A cosine run is a snapshot ensemble; a step run is both a single model and NoCycle. Raises UserError for unfinished
    runs and for runs of a single cycle.
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


def relabel(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Give a selection of experiments labels that are unique among them."""
    names = labels.methods([outcome.experiment for outcome in outcomes])
    return [replace(outcome, label=names[outcome.experiment]) for outcome in outcomes]


def paper_value(outcome: Outcome, size: int | None = None) -> paper.PaperValue | None:
    """Return the paper's error for an experiment scored on test images, as in `paper.lookup`."""
    return paper.lookup(outcome.experiment, size) if outcome.split == "test" else None


def find_baseline(outcome: Outcome, outcomes: Sequence[Outcome], method: Method) -> Outcome | None:
    """Return the experiment of a baseline method to compare another experiment with; None without a finished one.

    It has the same settings apart from `METHOD_FIELDS`; of several candidates the one with the most similar alpha0,
    drops and cycles, in this order.
    """
    experiment = outcome.experiment
    candidates = [
        candidate
        for candidate in outcomes
        if candidate.scores and candidate.experiment.method == method and not plan.implicit(candidate.experiment)
        if candidate.experiment.model_dump(exclude=METHOD_FIELDS) == experiment.model_dump(exclude=METHOD_FIELDS)
    ]
    return min(candidates, key=lambda candidate: _distance(candidate.experiment, experiment), default=None)


def _distance(candidate: Experiment, experiment: Experiment) -> list[bool]:
    return [getattr(candidate, name) != getattr(experiment, name) for name in ("alpha0", "drops", "cycles")]


def group_by(outcomes: Iterable[Outcome], *fields: str) -> dict[tuple[str, ...], list[Outcome]]:
    """Return the experiments by the values of some fields, in order of appearance."""
    groups: dict[tuple[str, ...], list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault(tuple(str(getattr(outcome.experiment, name)) for name in fields), []).append(outcome)
    return groups


def split_by_panel(outcomes: Sequence[Outcome]) -> list[list[Outcome]]:
    """Split the experiments that have scores by network and dataset."""
    return list(group_by((outcome for outcome in outcomes if outcome.scores), "network", "dataset").values())
