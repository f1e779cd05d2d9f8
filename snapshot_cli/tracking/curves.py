"""What a tracker shows of runs and ensembles, as numbers against iterations: from files that training has left."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from snapshot_cli.analysis.cells import Scored
from snapshot_cli.config.experiment import Experiment, Run
from snapshot_cli.errors import UserError
from snapshot_cli.run_directory import METRICS, RunDirectory

Setting = bool | float | str
TRAINING = {
    "train/loss": "train_loss",
    "train/error": "train_error",
    "train/rate": "rate",
    "train/images_per_second": "images_per_second",
}
ENSEMBLE = {"error": "top1_error", "nll": "nll", "ece": "ece"}


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


def ended(directory: RunDirectory) -> float:
    """Return when a run had trained its last stored epoch, pauses left out, in seconds since 1970."""
    return began(directory) + sum(row.get("seconds", 0.0) for row in directory.metrics())


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


def of_snapshots(scored: Scored, examples: int) -> Iterator[Point]:
    """Yield the error of each snapshot of one run at its iteration; `examples` were trained on."""
    time, run = ended(scored.directories[0]), scored.members[0].run
    for iteration, scores in zip(run.snapshot_iterations(examples), scored.evaluation.members, strict=True):
        yield Point(iteration, time, {f"{scored.split}_error/snapshot": scores.top1_error})


def of_members(scored: Scored) -> Iterator[Point]:
    """Yield the error of each member of an ensemble, counted from 1."""
    time = max(map(ended, scored.directories))
    for number, scores in enumerate(scored.evaluation.members, start=1):
        yield Point(number, time, {f"{scored.split}_error/member": scores.top1_error})


def of_ensembles(scored: Scored) -> Iterator[Point]:
    """Yield the scores of the ensembles of the last m members, at m = 1..M: error in percent, NLL, ECE."""
    time = max(map(ended, scored.directories))
    for size, scores in enumerate(scored.evaluation.ensembles, start=1):
        values = {f"{scored.split}_{name}/last_m": getattr(scores, field) for name, field in ENSEMBLE.items()}
        yield Point(size, time, values)


def settings(asked: Experiment | Run) -> dict[str, Setting]:
    """Return the settings of an experiment or a run that have a value, lists as text."""
    values = {name: value for name, value in asked.model_dump().items() if value is not None}
    return {
        name: value if isinstance(value, bool | int | float | str) else str(value) for name, value in values.items()
    }
