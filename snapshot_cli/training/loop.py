"""The training loop: a rate from Eq. 2 before every iteration, a snapshot at the end of every cycle."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from snapshot_cli.config.experiment import Run, iterations_per_epoch
from snapshot_cli.config.machine import CHECKPOINT_SECONDS
from snapshot_cli.datasets.batches import Feed, of_run
from snapshot_cli.datasets.store import Dataset
from snapshot_cli.errors import Stopped, UserError
from snapshot_cli.networks import build, channels_last
from snapshot_cli.randomness import derive
from snapshot_cli.run_directory import RunDirectory
from snapshot_cli.training import checkpoint, predictions
from snapshot_cli.training.checkpoint import Progress


class Watcher(Protocol):
    """Who looks on while a run is trained; nothing that it does is read back."""

    def begin(self, done: int, iterations: int, epoch_length: int) -> None:
        """Take note of the iterations that are done already, of all of them, and of those of an epoch."""

    def iteration(self, iteration: int, rate: float) -> None:
        """Take note of a finished iteration, without asking the device for anything."""

    def epoch(self, row: dict[str, float]) -> None:
        """Take note of a finished epoch: a row of metrics.csv, and the share of the time spent waiting for images."""


@dataclass
class Training:
    """A run on its way: what is trained, on what, where it leaves its files, and how far it is."""

    run: Run
    network: nn.Module
    optimizer: torch.optim.Optimizer
    batches: dict[str, Feed]
    device: torch.device
    directory: RunDirectory
    progress: Progress
    checkpoint_seconds: float = CHECKPOINT_SECONDS

    @property
    def examples(self) -> int:
        """The number of images that are trained on."""
        return self.batches["train"].examples


def train(
    run: Run,
    dataset: Dataset,
    directory: RunDirectory,
    *,
    device: torch.device,
    watcher: Watcher,
    stop: Callable[[], bool] = lambda: False,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    workers: int = 0,
) -> None:
    """Train a run from where it is to its end; snapshots, predictions and metrics go to its directory.

    The state is saved at the end of every epoch and whenever `checkpoint_seconds` have gone by.

    Raises UserError when the loss is no longer finite, and Stopped, with the state saved, when `stop` says so.
    """
    training = prepare(run, dataset, directory, device=device, checkpoint_seconds=checkpoint_seconds, workers=workers)
    last = run.snapshot_iterations(training.examples)[-1]
    watcher.begin(training.progress.iteration, last, iterations_per_epoch(training.examples, run.batch_size))
    while training.progress.iteration < last:
        train_epoch(training, watcher=watcher, stop=stop)
    predictions.store(run, directory, training.network, training.batches, training.progress.snapshots)
    directory.finish(summary(training, dataset))


def predict_again(
    run: Run, dataset: Dataset, directory: RunDirectory, *, device: torch.device, workers: int = 0
) -> None:
    """Compute the predictions that a finished run lacks, from the weights that were kept."""
    training = prepare(run, dataset, directory, device=device, workers=workers)
    for split in predictions.splits(run):
        lacking = directory.lacking(split)
        if lacking:
            batches = training.batches[split]
            logits = predictions.of_snapshots(lacking, directory, training.network, batches)
            directory.store_again(split, dict(zip(lacking, logits, strict=True)), batches.labels.cpu().numpy())


def prepare(
    run: Run,
    dataset: Dataset,
    directory: RunDirectory,
    *,
    device: torch.device,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    workers: int = 0,
) -> Training:
    """Return a run ready to go on: weights from its seed, or everything from the state that it was stopped with.

    Raises UserError when the state, or a snapshot taken before it, is not what the run wrote.
    """
    manifest, nhwc = dataset.manifest, channels_last(run.network, device.type)
    torch.manual_seed(derive(run.seed, "weights"))
    network = build(
        run.network, len(manifest.classes), manifest.size, run.dropout, stochastic_depth=run.stochastic_depth
    )
    network.to(device=device, memory_format=torch.channels_last if nhwc else torch.contiguous_format)  # type: ignore[call-overload]
    optimizer = torch.optim.SGD(
        network.parameters(),
        lr=run.alpha0,
        momentum=run.momentum,
        nesterov=run.nesterov,
        weight_decay=run.weight_decay,
        fused=True,
    )
    progress = checkpoint.restore_state(directory.resume_path, run.run_id, network, optimizer)
    for snapshot, digest in enumerate(progress.snapshots, start=1):
        directory.weights(snapshot, digest)
    batches = of_run(run, dataset, device=device, channels_last=nhwc, workers=workers)
    return Training(run, network, optimizer, batches, device, directory, progress, checkpoint_seconds)


def train_epoch(training: Training, *, watcher: Watcher, stop: Callable[[], bool]) -> None:
    """Train to the end of the current epoch, or of the run, and take the snapshots that fall there."""
    run, progress, examples = training.run, training.progress, training.examples
    length = iterations_per_epoch(examples, run.batch_size)
    ends = run.snapshot_iterations(examples)
    epoch, done = divmod(progress.iteration, length)
    if done == 0:
        progress.begin_epoch(length)
    losses, wrong = progress.losses.to(training.device), progress.wrong.to(training.device)
    started, saved = time.perf_counter() - progress.seconds, time.monotonic()
    training.network.train()
    for images, labels in training.batches["train"].training(run.seed, epoch, batch_size=run.batch_size, start=done):
        rate = run.rate(progress.iteration + 1, examples)
        loss, mistakes = step(training, images, labels, rate)
        losses[progress.iteration % length] = loss
        wrong += mistakes
        progress.iteration += 1
        watcher.iteration(progress.iteration, rate)
        if progress.iteration in ends:
            path = training.directory.snapshot_path(ends.index(progress.iteration) + 1)
            progress.snapshots.append(checkpoint.save_weights(path, training.network))
        if progress.iteration == ends[-1] or progress.iteration % length == 0:
            break
        stopping = stop()
        if stopping or time.monotonic() - saved > training.checkpoint_seconds:
            progress.record(losses, wrong, time.perf_counter() - started)
            save(training)
            saved = time.monotonic()
        if stopping:
            raise stopped(training)
    progress.record(losses, wrong, time.perf_counter() - started)
    close_epoch(training, epoch + 1, rate)
    watcher.epoch(progress.rows[-1] | {"starved": training.batches["train"].starved})
    if progress.iteration < ends[-1] and stop():
        raise stopped(training)


def stopped(training: Training) -> Stopped:
    """Return the exception that says how far the state is that was just saved."""
    done = training.progress.iteration
    return Stopped(f"{training.run.run_id}: stopped after {done} iterations; the same command goes on from there")


def step(
    training: Training, images: torch.Tensor, labels: torch.Tensor, rate: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Do one iteration of SGD and return the loss and the number of wrong answers, both still on the device."""
    run = training.run
    for group in training.optimizer.param_groups:
        group["lr"] = rate
    if run.dropout or run.stochastic_depth:
        torch.manual_seed(derive(run.seed, "dropout", training.progress.iteration))
    with torch.autocast(training.device.type, dtype=torch.bfloat16, enabled=run.precision == "bfloat16"):
        logits = training.network(images)
        loss = cross_entropy(logits, labels)
    training.optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    training.optimizer.step()
    return loss.detach(), (logits.detach().argmax(1) != labels).sum()


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
    if not all(bool(parameter.isfinite().all()) for parameter in training.network.parameters()):
        raise UserError(
            f"{run.run_id}: the weights are not finite after iteration {progress.iteration}, where the rate is "
            f"{run.rate(progress.iteration, training.examples):.4g}; try a smaller alpha0"
        )
    if row is not None:
        progress.rows.append(row)
        training.directory.write_metrics(progress.rows)
    checkpoint.save_state(training.directory.resume_path, run.run_id, progress, training.network, training.optimizer)


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
