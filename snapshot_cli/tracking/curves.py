"""Curves of runs and ensembles for TensorBoard, read from run directories and scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from snapshot_cli.config.experiment import Experiment, Run
from snapshot_cli.errors import UserError
from snapshot_cli.run_directory import MACHINE, METRICS, RunDirectory
from snapshot_cli.scores import Scores, TrainedRun

SettingValue = bool | float | str
TRAINING = {
    "train/loss": "train_loss",
    "train/error": "train_error",
    "train/lr": "rate",
    "train/images_per_second": "images_per_second",
}
ENSEMBLE = {"error": "error", "nll": "nll", "ece": "ece"}


@dataclass(frozen=True)
class Point:
    """Values by name at a step, and their time in seconds since 1970."""

    step: int
    time: float
    values: Mapping[str, float]


def start_time(directory: RunDirectory) -> float:
    """Return the start of a run in seconds since 1970, from its machine.json."""
    path = directory.path / MACHINE
    try:
        return datetime.fromisoformat(directory.machine["started"]).timestamp()
    except (LookupError, TypeError, ValueError):
        raise UserError(f"{path}: does not state when the run started; {directory.remedy}") from None


def end_time(run: TrainedRun) -> float:
    """Return the end of a run's last epoch, without pauses, in seconds since 1970."""
    return start_of_run(run) + run.seconds


def start_of_run(run: TrainedRun) -> float:
    """Return the start of a run in seconds since 1970; UserError if its scores lack it."""
    try:
        return datetime.fromisoformat(run.machine[0]["started"]).timestamp()
    except (LookupError, TypeError, ValueError):
        raise UserError(f"{run.config.run_id}: its scores do not state when it started") from None


def training_points(directory: RunDirectory, examples: int) -> Iterator[Point]:
    """Yield the rows of metrics.csv and the number of snapshots so far, for a run with `examples` training images.

    Times count from the start of the run and leave out pauses. Raises UserError if metrics.csv is malformed.
    """
    time, taken, snapshot_steps = start_time(directory), 0, directory.run.snapshot_steps(examples)
    for row in directory.metrics():
        try:
            time, step = time + row["seconds"], int(row["iteration"])
            values = {tag: row[column] for tag, column in TRAINING.items()}
        except (LookupError, ValueError, OverflowError):
            path = directory.path / METRICS
            raise UserError(f"{path}: not the metrics of a run; {directory.remedy}") from None
        while taken < len(snapshot_steps) and snapshot_steps[taken] <= step:
            taken += 1
            if snapshot_steps[taken - 1] < step:  # in mid-epoch
                yield Point(snapshot_steps[taken - 1], time, {"snapshots/taken": taken})
        yield Point(step, time, values | {"snapshots/taken": taken})


def snapshot_points(scores: Scores) -> Iterator[Point]:
    """Yield the error of each snapshot of one run at its step."""
    run = next(iter(scores.runs.values()))
    steps = run.config.snapshot_steps(run.train_examples)
    for step, metrics in zip(steps, scores.alone, strict=True):
        yield Point(step, end_time(run), {f"{scores.split}_error/snapshot": metrics.error})


def member_points(scores: Scores) -> Iterator[Point]:
    """Yield the error of each member of an ensemble, counted from 1."""
    for number, metrics in enumerate(scores.alone, start=1):
        yield Point(number, _last_end_time(scores), {f"{scores.split}_error/member": metrics.error})


def ensemble_points(scores: Scores) -> Iterator[Point]:
    """Yield error (percent), NLL and ECE of the ensembles of the last m members at m = 1..M."""
    for size, metrics in enumerate(scores.last, start=1):
        values = {f"{scores.split}_{name}/last_m": getattr(metrics, field) for name, field in ENSEMBLE.items()}
        yield Point(size, _last_end_time(scores), values)


def _last_end_time(scores: Scores) -> float:
    return max(end_time(run) for run in scores.runs.values())


def settings(config: Experiment | Run) -> dict[str, SettingValue]:
    """Return the settings of an experiment or a run that are not None, lists as text."""
    values = {name: value for name, value in config.model_dump().items() if value is not None}
    return {
        name: value if isinstance(value, bool | int | float | str) else str(value) for name, value in values.items()
    }
