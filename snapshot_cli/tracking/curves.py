"""What a tracker shows of runs and ensembles, as numbers against iterations: from files that training has left."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from snapshot_cli.config.experiment import Experiment, Run
from snapshot_cli.errors import UserError
from snapshot_cli.run_directory import METRICS, RunDirectory
from snapshot_cli.scores import Scores, TrainedRun

Setting = bool | float | str
TRAINING = {
    "train/loss": "train_loss",
    "train/error": "train_error",
    "train/rate": "rate",
    "train/images_per_second": "images_per_second",
}
ENSEMBLE = {"error": "error", "nll": "nll", "ece": "ece"}


@dataclass(frozen=True)
class Point:
    """Numbers by name at a step, and the time at which they were known, in seconds since 1970."""

    step: int
    time: float
    values: Mapping[str, float]


def began(directory: RunDirectory) -> float:
    """Return when a run was started, in seconds since 1970."""
    path = directory.path / "machine.json"
    try:
        return datetime.fromisoformat(directory.machine["started"]).timestamp()
    except (LookupError, TypeError, ValueError):
        raise UserError(
            f"{path}: does not say when the run was started; delete {directory.path} and train it again"
        ) from None


def ended(run: TrainedRun) -> float:
    """Return when a run had trained its last epoch, pauses left out, in seconds since 1970."""
    return started(run) + run.seconds


def started(run: TrainedRun) -> float:
    """Return when a run was started, in seconds since 1970; UserError where its scores do not say so."""
    try:
        return datetime.fromisoformat(run.machine[0]["started"]).timestamp()
    except (LookupError, TypeError, ValueError):
        raise UserError(f"{run.config.run_id}: its scores do not say when it was started") from None


def of_training(directory: RunDirectory, examples: int) -> Iterator[Point]:
    """Yield the rows of metrics.csv, and how many snapshots are taken: a staircase that rises at each one's iteration.

    Time is the start of the run and the seconds of its epochs: pauses are left out. `examples` are trained on. Raises
    UserError where metrics.csv is not what a run writes.
    """
    time, taken, iterations = began(directory), 0, directory.run.snapshot_iterations(examples)
    for row in directory.metrics():
        try:
            time, iteration = time + row["seconds"], int(row["iteration"])
            values = {tag: row[column] for tag, column in TRAINING.items()}
        except (LookupError, ValueError, OverflowError):
            path = directory.path / METRICS
            raise UserError(f"{path}: not the metrics of a run; delete {directory.path} and train it again") from None
        while taken < len(iterations) and iterations[taken] <= iteration:
            taken += 1
            if iterations[taken - 1] < iteration:  # in mid-epoch
                yield Point(iterations[taken - 1], time, {"snapshots/taken": taken})
        yield Point(iteration, time, values | {"snapshots/taken": taken})


def of_snapshots(scores: Scores) -> Iterator[Point]:
    """Yield the error of each snapshot of one run at its step."""
    run = next(iter(scores.runs.values()))
    steps = run.config.snapshot_iterations(run.train_examples)
    for step, metrics in zip(steps, scores.alone, strict=True):
        yield Point(step, ended(run), {f"{scores.split}_error/snapshot": metrics.error})


def of_members(scores: Scores) -> Iterator[Point]:
    """Yield the error of each member of an ensemble, counted from 1."""
    for number, metrics in enumerate(scores.alone, start=1):
        yield Point(number, _all_ended(scores), {f"{scores.split}_error/member": metrics.error})


def of_ensembles(scores: Scores) -> Iterator[Point]:
    """Yield the scores of the ensembles of the last m members, at m = 1..M: error in percent, NLL, ECE."""
    for size, metrics in enumerate(scores.last, start=1):
        values = {f"{scores.split}_{name}/last_m": getattr(metrics, field) for name, field in ENSEMBLE.items()}
        yield Point(size, _all_ended(scores), values)


def _all_ended(scores: Scores) -> float:
    return max(ended(run) for run in scores.runs.values())


def settings(asked: Experiment | Run) -> dict[str, Setting]:
    """Return the settings of an experiment or a run that have a value, lists as text."""
    values = {name: value for name, value in asked.model_dump().items() if value is not None}
    return {
        name: value if isinstance(value, bool | int | float | str) else str(value) for name, value in values.items()
    }
