"""The training loop: set the learning rate (Eq. 2) before every step, take a snapshot at the end of every cycle."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Protocol

import torch
from torch.nn.functional import cross_entropy

from snapshot_cli.config.experiment import Run, steps_per_epoch
from snapshot_cli.config.machine import Machine
from snapshot_cli.datasets.batches import build_feeds
from snapshot_cli.datasets.store import Dataset
from snapshot_cli.datasets.streamed import StoppedWaiting
from snapshot_cli.errors import UserError
from snapshot_cli.networks.names import is_external
from snapshot_cli.randomness import derive
from snapshot_cli.run_directory import RunDirectory
from snapshot_cli.training import checkpoint, compiled, hardware, initial_weights, predictions
from snapshot_cli.training.network import build_for_training
from snapshot_cli.training.ranks import ALONE, Ranks
from snapshot_cli.training.record import Training, close_epoch, save, stopped, summary, take_snapshot


class Callback(Protocol):
    """Progress callback; it must not affect training."""

    def on_start(self, done: int, total_steps: int, epoch_length: int) -> None:
        """Called once, with the steps done before a resume, the total steps, and the steps of an epoch."""

    def on_step(self, step: int, lr: float) -> None:
        """Called after every step, counted from 1; must not synchronise the device."""

    def on_epoch(self, row: dict[str, float]) -> None:
        """Called after every epoch with its row of metrics.csv and `data_wait`, the share of time without images."""


def train(
    run: Run,
    dataset: Dataset,
    directory: RunDirectory,
    machine: Machine,
    *,
    callback: Callback,
    stop: Callable[[], bool] = lambda: False,
    ranks: Ranks = ALONE,
    initial: Mapping[str, torch.Tensor] | None = None,
) -> None:
    """Train or resume a run to its end; write snapshots, predictions and metrics to its directory.

    A checkpoint is saved at the end of every epoch and every `machine.checkpoint_seconds`. A fresh run starts from the
    weights `initial`, if any.

    Raises UserError if the loss is not finite, and Stopped, with a checkpoint saved, if `stop()` is true.
    """
    training = prepare(run, dataset, directory, machine, stop=stop, ranks=ranks, initial=initial)
    total_steps = training.snapshot_steps[-1]
    callback.on_start(training.progress.step, total_steps, training.epoch_length)
    while training.progress.step < total_steps:
        train_epoch(training, callback=callback, stop=stop)
    predictions.store(
        run, directory, training.network, training.batches, training.progress.snapshots, stop=stop, ranks=ranks
    )
    if ranks.first:
        directory.finish(summary(training, dataset))


def predict_again(
    run: Run,
    dataset: Dataset,
    directory: RunDirectory,
    machine: Machine,
    *,
    stop: Callable[[], bool] = lambda: False,
    ranks: Ranks = ALONE,
) -> None:
    """Compute the missing predictions of a finished run from its snapshots.

    The predictions of a split are stored together or not at all. Raises Stopped if `stop()` is true.
    """
    training = prepare(run, dataset, directory, machine, stop=stop, ranks=ranks)
    for split in predictions.splits(run):
        missing = ranks.broadcast(directory.missing_predictions(split))
        batches = training.batches[split]
        logits = list(predictions.of_snapshots(missing, directory, training.network, batches, stop=stop, ranks=ranks))
        if missing and ranks.first:
            directory.store_again(split, dict(zip(missing, logits, strict=True)), batches.labels.cpu().numpy())


def prepare(
    run: Run,
    dataset: Dataset,
    directory: RunDirectory,
    machine: Machine,
    *,
    stop: Callable[[], bool] = lambda: False,
    ranks: Ranks = ALONE,
    initial: Mapping[str, torch.Tensor] | None = None,
) -> Training:
    """Return a run ready to train, restored from its checkpoint or initialised from its seed.

    A fresh run takes the tensors of `initial` that fit its network.

    Raises UserError if the checkpoint or an earlier snapshot differs from what the run wrote, and if ranks read
    different checkpoints.
    """
    device = hardware.choose(machine.device)
    torch.manual_seed(derive(run.seed, "weights"))
    network = build_for_training(run, dataset.manifest, device)
    if initial is not None:
        initial_weights.start(network, initial, len(dataset.manifest.classes))
    optimizer = torch.optim.SGD(
        [parameter for parameter in network.parameters() if parameter.requires_grad],
        lr=run.alpha0,
        momentum=run.momentum,
        nesterov=run.nesterov,
        weight_decay=run.weight_decay,
        fused=True,
    )
    examples = run.training_examples(len(dataset.train_labels))
    progress = checkpoint.restore_state(
        directory.resume_path,
        run.run_id,
        network,
        optimizer,
        epoch_length=steps_per_epoch(examples, run.batch_size),
        ends=run.snapshot_steps(examples),
    )
    if progress.step != ranks.broadcast(progress.step):
        raise UserError(f"{directory.resume_path}: not on every host; all hosts must share one results folder")
    for snapshot, digest in enumerate(progress.snapshots, start=1):
        directory.weights(snapshot, digest)
    batches = build_feeds(run, dataset, device=device, workers=machine.workers or 0, stop=stop)
    eager, share = ranks.wrap(network), len(range(run.batch_size)[ranks.share])
    forward = compiled.compile_for(eager, device=device, images=share) if machine.compile else eager
    return Training(run, network, forward, optimizer, batches, device, machine, directory, progress, ranks)


def train_epoch(training: Training, *, callback: Callback, stop: Callable[[], bool]) -> None:
    """Train to the end of the current epoch, or of the run, and take the snapshots on the way."""
    run, progress, examples, ranks = training.run, training.progress, training.examples, training.ranks
    length, ends = training.epoch_length, training.snapshot_steps
    epoch, done = divmod(progress.step, length)
    if done == 0:
        progress.begin_epoch(length)
    losses, wrong = (
        ranks.only_on_first(restored).to(training.device) for restored in (progress.losses, progress.wrong)
    )
    started, saved = time.perf_counter() - progress.seconds, time.monotonic()

    def record() -> None:
        progress.record(ranks.sum(losses.cpu()), ranks.sum(wrong.cpu()), time.perf_counter() - started)

    training.network.train()
    try:
        for images, labels in training.batches["train"].training(
            run.seed, epoch, batch_size=run.batch_size, start=done, share=ranks.share
        ):
            lr = run.lr(progress.step + 1, examples)
            loss, mistakes = step(training, images, labels, lr)
            losses[progress.step % length] = loss
            wrong += mistakes
            progress.step += 1
            callback.on_step(progress.step, lr)
            if progress.step in ends:
                take_snapshot(training, ends.index(progress.step) + 1)
            if progress.step == ends[-1] or progress.step % length == 0:
                break
            stopping, due = ranks.any_rank(stop(), time.monotonic() - saved > training.machine.checkpoint_seconds)
            if stopping or due:
                record()
                save(training)
                saved = time.monotonic()
            if stopping:
                raise stopped(training)
    except StoppedWaiting:
        if ranks.count > 1 or progress.step == 0:  # the other ranks wait for this step's gradients
            raise
        record()
        save(training)
        raise stopped(training) from None
    record()
    close_epoch(training, epoch + 1, lr)
    callback.on_epoch(progress.rows[-1] | {"data_wait": training.batches["train"].data_wait})
    if progress.step < ends[-1] and ranks.any_rank(stop())[0]:
        raise stopped(training)


def step(
    training: Training, images: torch.Tensor, labels: torch.Tensor, lr: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Do one step of SGD; return this rank's part of the loss and of the count of errors, as tensors on the device."""
    run, ranks = training.run, training.ranks
    for group in training.optimizer.param_groups:
        group["lr"] = lr
    if (
        run.dropout or run.stochastic_depth or is_external(run.network)
    ):  # an external network may draw random numbers anywhere
        torch.manual_seed(derive(run.seed, "dropout", training.progress.step, *ranks.seed_suffix))
    with torch.autocast(training.device.type, dtype=torch.bfloat16, enabled=run.precision == "bfloat16"):
        logits = training.forward(images)
        loss = ranks.part(cross_entropy(logits, labels), len(labels), training.batch)
    training.optimizer.zero_grad(set_to_none=True)
    ranks.backward(loss)
    training.optimizer.step()
    return loss.detach(), (logits.detach().argmax(1) != labels).sum()
