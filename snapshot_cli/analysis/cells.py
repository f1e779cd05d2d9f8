"""From the files of finished runs to the scores of an experiment's members and ensembles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from snapshot_cli.analysis.ensembles import Evaluation, evaluate
from snapshot_cli.analysis.metrics import Array, Labels, softmax
from snapshot_cli.config.experiment import Experiment, Run
from snapshot_cli.config.plan import Cell, Member
from snapshot_cli.errors import UserError, other_dataset
from snapshot_cli.run_directory import RunDirectory, Split


@dataclass(frozen=True)
class Scored:
    """Some snapshots and what their stored predictions say."""

    members: tuple[Member, ...]
    examples: int
    evaluation: Evaluation
    experiment: Experiment | None = None
    replicate: int = 0
    split: Split = "test"
    directories: tuple[RunDirectory, ...] = field(default=(), repr=False)

    @property
    def labels(self) -> Labels:
        """The labels (examples,) that the predictions are held against."""
        return self.directories[0].labels(self.split)

    @property
    def probabilities(self) -> Array:
        """The members' softmax outputs (members, examples, classes), read again."""
        places = zip(self.directories, self.members, strict=True)
        return np.stack([softmax(each.predictions(self.split, member.snapshot)) for each, member in places])

    @property
    def error(self) -> float:
        """The error in percent of the only member, or of the ensemble of all."""
        return self.evaluation.ensembles[-1].top1_error


def missing(runs: Sequence[Run], results: Path) -> list[Run]:
    """Return the runs that are not finished below a folder of results."""
    return [run for run in runs if RunDirectory.of(run, results).status != "done"]


def score_cell(cell: Cell, results: Path, dataset_hashes: Mapping[str, str], *, split: Split = "test") -> Scored:
    """Return the scores of a cell; UserError when runs are missing, otherwise as `score` does."""
    lacking = missing(cell.runs, results)
    if lacking:
        raise UserError(
            f"{lacking[0].run_id}: not trained to its end below {results} "
            f"({len(lacking)} of {len(cell.runs)} runs missing); snapshot train with the same --config trains them"
        )
    members = [(RunDirectory.of(member.run, results), member.snapshot) for member in cell.members]
    return replace(score(members, dataset_hashes, split=split), experiment=cell.experiment, replicate=cell.replicate)


def score(
    members: Sequence[tuple[RunDirectory, int]], dataset_hashes: Mapping[str, str], *, split: Split = "test"
) -> Scored:
    """Return the scores of some snapshots and of the ensembles of the last 1..M of them.

    Raises UserError when they were trained or scored on different images, or on others than those prepared now, whose
    content hashes `dataset_hashes` has by name; also where no images were withheld for the holdout that is asked for.
    """
    first = members[0][0]
    for directory, _ in members:
        _check_images(directory, first, split)
    check_hashes([directory for directory, _ in members], dataset_hashes)
    labels = first.labels(split)
    for directory, _ in members:
        if not np.array_equal(directory.labels(split), labels):
            raise UserError(f"{directory.path}: its {split} images are not those of {first.path}; score them apart")
    logits = [_logits(directory, split, snapshot, labels) for directory, snapshot in members]
    if len({each.shape for each in logits}) > 1:
        raise UserError(f"{first.path}: its members know different numbers of classes; an ensemble needs one dataset")
    names = tuple(Member(directory.run, snapshot) for directory, snapshot in members)
    directories = tuple(directory for directory, _ in members)
    return Scored(names, len(labels), evaluate(logits, labels), split=split, directories=directories)


def check_hashes(directories: Iterable[RunDirectory], dataset_hashes: Mapping[str, str]) -> None:
    """Refuse a run on other images than those prepared now, or than another run's on the dataset of that name."""
    hashes = dict(dataset_hashes)
    for directory in directories:
        name, hash_ = directory.run.dataset, directory.summary.get("dataset_hash", "")
        if hashes.setdefault(name, hash_) != hash_:
            raise UserError(
                f"{directory.path}: was trained on other images than those prepared as '{name}' now, or than the other "
                f"runs; prepare those, or delete the directory and train it again"
            )


def _logits(directory: RunDirectory, split: Split, snapshot: int, labels: np.ndarray) -> np.ndarray:
    """Return a snapshot's logits; UserError where they are not of as many examples, or have not all classes."""
    logits = directory.predictions(split, snapshot)
    if len(logits) != len(labels) or not 0 <= labels.min(initial=0) <= labels.max(initial=0) < logits.shape[1]:
        raise UserError(
            f"{directory.path}: the {split} predictions of snapshot {snapshot} are {logits.shape[0]:,} of "
            f"{logits.shape[1]:,} classes, which does not fit its {len(labels):,} labels; "
            f"delete {directory.path} and train it again"
        )
    return logits


def _check_images(directory: RunDirectory, first: RunDirectory, split: Split) -> None:
    """Refuse what equal labels would hide: by canonical order, different images can have the same labels."""
    run, other = directory.run, first.run
    if run.dataset != other.dataset:
        raise other_dataset(directory.path, run.dataset, first.path, other.dataset)
    if split == "test":
        return
    if not run.holdout:
        raise UserError(f"{directory.path}: no training images were withheld; train with holdout: N to score on them")
    if (run.holdout, run.split_seed, run.train_size) != (other.holdout, other.split_seed, other.train_size):
        raise UserError(f"{directory.path}: its holdout images are not those of {first.path}; score them apart")
