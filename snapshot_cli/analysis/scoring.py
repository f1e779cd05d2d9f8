"""Compute the scores of finished runs from their files, and read scores that are stored."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from snapshot_cli import scores as files
from snapshot_cli.analysis import metrics, selection
from snapshot_cli.analysis.ensembles import mean, measure, measure_first
from snapshot_cli.analysis.metrics import Array, Labels
from snapshot_cli.analysis.selection import best_subsets
from snapshot_cli.config import plan
from snapshot_cli.config.experiment import Experiment, Run
from snapshot_cli.config.plan import Cell
from snapshot_cli.config.study import Split, Study
from snapshot_cli.errors import UserError, command, other_dataset
from snapshot_cli.run_directory import INTERPOLATION, METRICS, RunDirectory
from snapshot_cli.scores import Choice, Curve, Line, Member, Scores, TrainedRun


def unfinished(runs: Sequence[Run], results: Path) -> list[Run]:
    """Return the runs that are not finished in a results folder."""
    return [run for run in runs if RunDirectory.of(run, results).status != "done"]


def missing_runs(cells: Sequence[Cell], results: Path, split: Split) -> list[Run]:
    """Return the distinct unfinished runs of the cells that have no scores yet.

    Raises UserError for the split holdout if a run withholds no images.
    """
    for cell in cells:
        for run in cell.runs:
            _refuse_unwithheld(run, run.run_id, split)
    unscored = [cell for cell in cells if not files.path(cell, results, split).is_file()]
    return unfinished(list(dict.fromkeys(run for cell in unscored for run in cell.runs)), results)


def runs_to_train(config: Experiment | Study | Run, results: Path, split: Split | None = None) -> list[Run]:
    """Return the runs to train before every cell of a configuration has scores on a split.

    The split defaults to the study's, and to test for experiments.
    """
    if isinstance(config, Run):
        return unfinished([config], results)
    return missing_runs(plan.expand(config), results, split or default_split(config))


def runs_without_lines(cells: Sequence[Cell], results: Path, split: Split) -> list[Run]:
    """Return the runs, each alone in its cell, between whose snapshots no errors are stored."""
    alone = [cell for cell in cells if len(cell.runs) == 1 and len(cell.members) > 1]
    return list(dict.fromkeys(cell.runs[0] for cell in alone if not _has_lines(cell, results, split)))


def _has_lines(cell: Cell, results: Path, split: Split) -> bool:
    """Return whether the run of a cell, or else its scores, have the errors between its snapshots."""
    (run,), path = cell.runs, files.path(cell, results, split)
    directory = RunDirectory.of(run, results)
    if directory.has_interpolation or not path.is_file():
        return directory.has_interpolation
    stored = _read_if_current(path, [directory]) if directory.has_predictions(split) else files.read(path)
    return stored is not None and bool(stored.runs[run.run_id].lines)


def find(cell: Cell, results: Path, split: Split) -> Scores | None:
    """Return the scores of a cell, None if it has neither scores nor finished runs.

    Computes and stores the scores if the predictions exist and the stored scores are missing or outdated.
    Raises UserError if the scores are of other members than the cell's, and like `read` and `score`.
    """
    path = files.path(cell, results, split)
    directories = {run: RunDirectory.of(run, results) for run in cell.runs}
    has_predictions = all(directory.has_predictions(split) for directory in directories.values())
    if path.is_file() and not has_predictions:
        return _check_members(files.read(path), cell, path)
    if not has_predictions:
        for run, directory in directories.items():
            _refuse_unwithheld(run, str(directory.path), split)
        if all(directory.status == "done" for directory in directories.values()):
            without = next(directory for directory in directories.values() if not directory.has_predictions(split))
            again = f"type {command('train', without.path)}, which computes them again from the snapshots"
            remedy = again if without.missing_predictions(split) else without.remedy
            raise UserError(f"{path}: not there, nor the {split} predictions of {without.path}; {remedy}")
        return None
    if path.is_file():
        stored = _read_if_current(path, directories.values())
        if stored is not None:
            return _check_members(stored, cell, path)
    return store(cell, results, split)


def store_finished(config: Experiment | Study | Run, run: Run, results: Path) -> None:
    """Store the scores of every cell of a configuration that this run completes."""
    if isinstance(config, Run):
        return
    for cell in plan.expand(config):
        if run in cell.runs and not unfinished(cell.runs, results):
            find(cell, results, default_split(config))


def default_split(config: Experiment | Study) -> Split:
    """Return the split that a configuration is scored on: the study's, and test for experiments."""
    return config.split if isinstance(config, Study) else "test"


def store(cell: Cell, results: Path, split: Split) -> Scores:
    """Compute the scores of a cell from the predictions of its finished runs, and write them; raises like `score`."""
    members = [(RunDirectory.of(member.run, results), member.snapshot) for member in cell.members]
    scores = score(members, split=split, experiment=cell.alone, budget=cell.experiment.budget)
    files.write(scores, files.path(cell, results, split))
    return scores


def score(
    members: Sequence[tuple[RunDirectory, int]],
    *,
    split: Split = "test",
    experiment: Experiment | None = None,
    budget: int | None = None,
) -> Scores:
    """Compute the scores of an ensemble of snapshots; the full budget in epochs defaults to the first run's.

    Raises UserError if the snapshots were trained or scored on different images, or if the split is the holdout and no
    images were withheld.
    """
    predictions = read_predictions(members, split)
    probabilities, labels = predictions.probabilities, predictions.labels
    directories = list(dict.fromkeys(directory for directory, _ in members))
    runs = {directory.run.run_id: _trained_run(directory) for directory in directories}
    return Scores(
        experiment=experiment,
        split=split,
        images=len(labels),
        labels_sha256=hashlib.sha256(labels.tobytes()).hexdigest(),
        classes=probabilities.shape[2],
        members=[Member(run=directory.run.run_id, snapshot=snapshot) for directory, snapshot in members],
        runs=runs,
        alone=[measure(member, labels) for member in probabilities],
        later=measure_first(probabilities[::-1], labels),
        earlier=measure_first(probabilities[:-1], labels),
        correlation=metrics.correlation(probabilities).tolist(),
        disagreement=metrics.disagreement(probabilities).tolist(),
        chosen=_choices(members, predictions) if split == "test" else [],
        cost=plan.cost([directory.run for directory in directories], budget or directories[0].run.budget),
    )


def rescore(stored: Scores, results: Path) -> Scores | None:
    """Compute stored scores again from the predictions; None if the predictions were not kept."""
    members = [(RunDirectory(results / "runs" / member.run), member.snapshot) for member in stored.members]
    if not all(directory.has_predictions(stored.split) for directory, _ in members):
        return None
    budget = stored.experiment.budget if stored.experiment else None
    return score(members, split=stored.split, experiment=stored.experiment, budget=budget)


def check_same_images(scores: Iterable[Scores], dataset_hashes: Mapping[str, str]) -> None:
    """Raise UserError unless all runs on a dataset used the same images: those that are prepared now, if any.

    `dataset_hashes` has the content hashes of the prepared datasets by name.
    """
    hashes = dict(dataset_hashes)
    for cell_scores in scores:
        for run_id, run in cell_scores.runs.items():
            name = run.config.dataset
            if hashes.setdefault(name, run.dataset_hash) != run.dataset_hash:
                raise UserError(
                    f"{run_id}: was trained on other images than those prepared as '{name}' now, or than the other "
                    f"runs; prepare those, or delete its scores and directory and train it again"
                )


@dataclass(frozen=True)
class Predictions:
    """The members' softmax outputs (members, examples, classes) and the labels (examples,)."""

    probabilities: Array
    labels: Labels


def read_predictions(members: Sequence[tuple[RunDirectory, int]], split: Split) -> Predictions:
    """Read the predictions of snapshots for a split; raises UserError like `score`."""
    first = members[0][0]
    directories = list(dict.fromkeys(directory for directory, _ in members))
    for directory in directories:
        _check_images(directory, first, split)
    labels = first.labels(split)
    for directory in directories:
        if not np.array_equal(directory.labels(split), labels):
            raise UserError(f"{directory.path}: its {split} images are not those of {first.path}; score them apart")
    logits = [_read_logits(directory, split, snapshot, labels) for directory, snapshot in members]
    if len({array.shape for array in logits}) > 1:
        raise UserError(f"{first.path}: its members have different numbers of classes; an ensemble needs one dataset")
    probabilities = np.empty((len(logits), *logits[0].shape))
    for array, out in zip(logits, probabilities, strict=True):
        metrics.softmax(array, out)
    return Predictions(probabilities, labels)


def _choices(members: Sequence[tuple[RunDirectory, int]], test: Predictions) -> list[Choice]:
    if not all(directory.run.holdout and directory.has_predictions("holdout") for directory, _ in members):
        return []
    withheld = read_predictions(members, "holdout")
    selections = [
        *best_subsets(withheld.probabilities, withheld.labels),
        selection.choose_last(withheld.probabilities, withheld.labels),
        selection.choose_greedy(withheld.probabilities, withheld.labels),
    ]
    return [
        Choice(
            rule=chosen.rule,
            members=list(chosen.members),
            withheld_error=chosen.error,
            error=metrics.top1_error(mean(test.probabilities, [number - 1 for number in chosen.members]), test.labels),
        )
        for chosen in selections
    ]


def _trained_run(directory: RunDirectory) -> TrainedRun:
    rows, summary = directory.metrics(), directory.summary
    examples = summary.get("train_examples") or 0
    if examples < 1:
        raise UserError(f"{directory.path}: does not say how many images it was trained on; {directory.remedy}")
    machines = [{name: value for name, value in facts.items() if name != "command"} for facts in directory.environments]
    return TrainedRun(
        config=directory.run,
        dataset_hash=summary.get("dataset_hash", ""),
        train_examples=examples,
        steps=directory.run.snapshot_steps(examples)[-1],
        machine=machines,
        curve=_curve(directory, rows),
        lines=_lines(directory) if directory.has_interpolation else [],
        files=_digests(directory),
    )


def _curve(directory: RunDirectory, rows: Sequence[Mapping[str, float]]) -> Curve:
    try:
        return Curve(
            step=[int(row["iteration"]) for row in rows],
            train_loss=[row["train_loss"] for row in rows],
            train_error=[row["train_error"] for row in rows],
            seconds=[row["seconds"] for row in rows],
        )
    except (KeyError, ValueError, OverflowError):
        raise UserError(f"{directory.path / METRICS}: not the metrics of a run; {directory.remedy}") from None


def _lines(directory: RunDirectory) -> list[Line]:
    lines: dict[tuple[int, str], list[tuple[float, float]]] = {}
    for snapshot, weight, statistics, error in directory.interpolation():
        lines.setdefault((snapshot, statistics), []).append((weight, error))
    return [
        Line(
            snapshot=snapshot,
            statistics=statistics,
            lambdas=[weight for weight, _ in points],
            errors=[error for _, error in points],
        )
        for (snapshot, statistics), points in lines.items()
    ]


def _digests(directory: RunDirectory) -> dict[str, str]:
    """Return the manifest's sha256 of the files that scores are computed from."""
    return {
        name: digest
        for name, digest in sorted(directory.hashes.items())
        if name.startswith("predictions/") or name in (METRICS, INTERPOLATION)
    }


def _read_if_current(path: Path, directories: Iterable[RunDirectory]) -> Scores | None:
    """Return the stored scores, None if the runs' files or the definitions of scores have changed since."""
    try:
        stored = files.read(path)
    except UserError:
        return None
    digests = {directory.run.run_id: _digests(directory) for directory in directories}
    return stored if digests == {run_id: run.files for run_id, run in stored.runs.items()} else None


def _check_members(scores: Scores, cell: Cell, path: Path) -> Scores:
    """Return the scores; raises UserError if their members are not the planned ones."""
    planned = [Member(run=member.run.run_id, snapshot=member.snapshot) for member in cell.members]
    if scores.members != planned:
        raise UserError(f"{path}: has other members than planned; delete it, and snapshot reproduce trains them")
    return scores


def _read_logits(directory: RunDirectory, split: Split, snapshot: int, labels: Labels) -> np.ndarray[Any, Any]:
    """Read a snapshot's logits; raises UserError if their shape does not fit the labels."""
    logits = directory.predictions(split, snapshot)
    if len(logits) != len(labels) or not 0 <= labels.min(initial=0) <= labels.max(initial=0) < logits.shape[1]:
        raise UserError(
            f"{directory.path}: the {split} predictions of snapshot {snapshot} are {logits.shape[0]:,} of "
            f"{logits.shape[1]:,} classes, which does not fit its {len(labels):,} labels; "
            f"{directory.remedy}"
        )
    return logits


def _check_images(directory: RunDirectory, first: RunDirectory, split: Split) -> None:
    """Raise UserError if two runs differ in dataset or holdout: equal labels do not prove equal images."""
    run, first_run = directory.run, first.run
    if run.dataset != first_run.dataset:
        raise other_dataset(directory.path, run.dataset, first.path, first_run.dataset)
    if directory.summary.get("dataset_hash") != first.summary.get("dataset_hash"):
        raise UserError(f"{directory.path}: was trained on other images than {first.path}; score them apart")
    if split == "test":
        return
    _refuse_unwithheld(run, str(directory.path), split)
    if (run.holdout, run.split_seed, run.train_size) != (first_run.holdout, first_run.split_seed, first_run.train_size):
        raise UserError(f"{directory.path}: its holdout images are not those of {first.path}; score them apart")


def _refuse_unwithheld(run: Run, name: str, split: Split) -> None:
    """Raise UserError for the split holdout if a run withholds no images."""
    if split == "holdout" and not run.holdout:
        raise UserError(f"{name}: no training images were withheld; train with holdout: N to score on them")
