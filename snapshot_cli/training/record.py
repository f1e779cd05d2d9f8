"""A run on its way and what it leaves behind: the row of every epoch, the state to go on from, the summary."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from snapshot_cli.config.experiment import Run, iterations_per_epoch
from snapshot_cli.config.machine import Machine
from snapshot_cli.datasets.batches import Feed
from snapshot_cli.datasets.store import Dataset
from snapshot_cli.errors import Stopped, UserError
from snapshot_cli.run_directory import RunDirectory
from snapshot_cli.training import checkpoint
from snapshot_cli.training.checkpoint import Progress
from snapshot_cli.training.ranks import ALONE, Ranks


@dataclass
class Training:
    """A run on its way: what is trained, on what, where it leaves its files, and how far it is."""

    run: Run
    network: nn.Module
    """Holds the weights; `forward` is what is called in training."""
    forward: Callable[[torch.Tensor], torch.Tensor]
    optimizer: torch.optim.Optimizer
    batches: dict[str, Feed]
    device: torch.device
    machine: Machine
    directory: RunDirectory
    progress: Progress
    ranks: Ranks = ALONE

    @property
    def examples(self) -> int:
        """The number of images that are trained on."""
        return self.batches["train"].examples

    @property
    def batch(self) -> int:
        """The number of images of the coming iteration, of all ranks."""
        size = self.run.batch_size
        return min(size, self.examples - self.progress.iteration % iterations_per_epoch(self.examples, size) * size)


def close_epoch(training: Training, epoch: int, rate: float) -> None:
    """Add the epoch's row to the metrics and save both; an epoch that the run's end cuts short has a row too."""
    progress, run = training.progress, training.run
    length = iterations_per_epoch(training.examples, run.batch_size)
    iterations = progress.iteration - (epoch - 1) * length
    images = min(iterations * run.batch_size, training.examples)
    weights = torch.full((iterations,), run.batch_size, dtype=torch.float64)
    weights[-1] -= iterations * run.batch_size - images
    row = {
        "epoch": epoch,
        "iteration": progress.iteration,
        "rate": rate,
        "train_loss": float((progress.losses[:iterations].double() * weights).sum() / images),
        "train_error": 100 * int(progress.wrong) / images,
        "seconds": round(progress.seconds, 3),
        "images_per_second": round(images / progress.seconds, 1),
    }
    save(training, row)


def save(training: Training, row: dict[str, float] | None = None) -> None:
    """Save the state to go on from, with the row of a finished epoch in it; UserError when they are not finite."""
    progress, run = training.progress, training.run
    broken = torch.nonzero(~progress.losses.isfinite())
    if len(broken):
        length = len(progress.losses)
        iteration = (progress.iteration - 1) // length * length + int(broken[0]) + 1
        raise UserError(
            f"{run.run_id}: the loss is not finite at iteration {iteration}, where the rate is "
            f"{run.rate(iteration, training.examples):.4g}; try a smaller alpha0"
        )
    if not torch.stack([parameter.isfinite().all() for parameter in training.network.parameters()]).all():
        raise UserError(
            f"{run.run_id}: the weights are not finite after iteration {progress.iteration}, where the rate is "
            f"{run.rate(progress.iteration, training.examples):.4g}; try a smaller alpha0"
        )
    progress.rows += [] if row is None else [row]
    if not training.ranks.first:
        return
    if row is not None:
        training.directory.write_metrics(progress.rows)
    checkpoint.save_state(training.directory.resume_path, run.run_id, progress, training.network, training.optimizer)


def take_snapshot(training: Training, snapshot: int) -> None:
    """Store the weights as a snapshot, counted from 1, and take note of its hash."""
    path, ranks = training.directory.snapshot_path(snapshot), training.ranks
    training.progress.snapshots.append(
        ranks.tell(checkpoint.save_weights(path, training.network) if ranks.first else "")
    )


def summary(training: Training, dataset: Dataset) -> dict[str, Any]:
    """Return what done.json says of a finished run."""
    rows = training.progress.rows
    return {
        "run": training.run.run_id,
        "dataset_hash": dataset.manifest.content_hash,
        "iterations": training.progress.iteration,
        "snapshots": training.run.snapshots,
        "train_examples": training.examples,
        "test_examples": training.batches["test"].examples,
        "train_loss": rows[-1]["train_loss"],
        "seconds": round(sum(row["seconds"] for row in rows), 3),
    }


def stopped(training: Training) -> Stopped:
    """Return the exception that says how far the state is that was just saved."""
    done = training.progress.iteration
    return Stopped(f"{training.run.run_id}: stopped after {done} iterations; type the same command to resume")
