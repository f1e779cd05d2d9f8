"""A run in training, and what it writes: metrics.csv, checkpoints, snapshots and the summary."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from snapshot_cli.config.experiment import Run, steps_per_epoch
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
    """A run in training: its network, data, device, directory and progress."""

    run: Run
    network: nn.Module
    """Holds the weights; a training step calls `forward`, which may be compiled or data-parallel."""
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
        """The number of training images."""
        return self.batches["train"].examples

    @property
    def epoch_length(self) -> int:
        """The number of steps in an epoch."""
        return steps_per_epoch(self.examples, self.run.batch_size)

    @property
    def snapshot_steps(self) -> list[int]:
        """The steps after which the run takes its snapshots; the last one ends it."""
        return self.run.snapshot_steps(self.examples)

    @property
    def batch(self) -> int:
        """The number of images in the next step, on all ranks."""
        size = self.run.batch_size
        return min(size, self.examples - self.progress.step % self.epoch_length * size)


def close_epoch(training: Training, epoch: int, lr: float) -> None:
    """Add the epoch's row to metrics.csv and save a checkpoint; the last epoch may be shorter."""
    progress, run = training.progress, training.run
    steps = progress.step - (epoch - 1) * training.epoch_length
    images = min(steps * run.batch_size, training.examples)
    weights = torch.full((steps,), run.batch_size, dtype=torch.float64)
    weights[-1] -= steps * run.batch_size - images
    row = {
        "epoch": epoch,
        "iteration": progress.step,
        "rate": lr,
        "train_loss": float((progress.losses[:steps].double() * weights).sum() / images),
        "train_error": 100 * int(progress.wrong) / images,
        "seconds": round(progress.seconds, 3),
        "images_per_second": round(images / progress.seconds, 1),
    }
    save(training, row)


def save(training: Training, row: dict[str, float] | None = None) -> None:
    """Save a checkpoint, with the row of a finished epoch; UserError if losses or weights are not finite."""
    progress, run = training.progress, training.run
    not_finite = torch.nonzero(~progress.losses.isfinite())
    if len(not_finite):
        length = len(progress.losses)
        step = (progress.step - 1) // length * length + int(not_finite[0]) + 1
        raise UserError(
            f"{run.run_id}: the loss is not finite at step {step}, where the learning rate is "
            f"{run.lr(step, training.examples):.4g}; try a smaller alpha0"
        )
    if not torch.stack([parameter.isfinite().all() for parameter in training.network.parameters()]).all():
        raise UserError(
            f"{run.run_id}: the weights are not finite after step {progress.step}, where the learning rate is "
            f"{run.lr(progress.step, training.examples):.4g}; try a smaller alpha0"
        )
    progress.rows += [] if row is None else [row]
    if not training.ranks.first:
        return
    if row is not None:
        training.directory.write_metrics(progress.rows)
    checkpoint.save_state(training.directory.resume_path, run.run_id, progress, training.network, training.optimizer)


def take_snapshot(training: Training, snapshot: int) -> None:
    """Save the weights as a snapshot, counted from 1, and record its sha256."""
    path, ranks = training.directory.snapshot_path(snapshot), training.ranks
    training.progress.snapshots.append(
        ranks.broadcast(checkpoint.save_weights(path, training.network) if ranks.first else "")
    )


def summary(training: Training, dataset: Dataset) -> dict[str, Any]:
    """Return the content of done.json."""
    rows = training.progress.rows
    return {
        "run": training.run.run_id,
        "dataset_hash": dataset.manifest.content_hash,
        "iterations": training.progress.step,
        "snapshots": training.run.snapshots,
        "train_examples": training.examples,
        "test_examples": training.batches["test"].examples,
        "train_loss": rows[-1]["train_loss"],
        "seconds": round(sum(row["seconds"] for row in rows), 3),
    }


def stopped(training: Training) -> Stopped:
    """Return the exception that says at which step the run stopped; its checkpoint is saved."""
    done = training.progress.step
    return Stopped(f"{training.run.run_id}: stopped after {done} steps; type the same command to resume")
