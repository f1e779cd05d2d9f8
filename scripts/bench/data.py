"""The data loader alone, evaluation, scores of stored predictions, and epoch time against training-set size."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench import images
from bench.blocks import Time, by_turns, estimate, ratio, timed
from bench.tables import Row
from snapshot_cli.analysis import ensembles
from snapshot_cli.config.machine import Machine
from snapshot_cli.datasets.store import Dataset
from snapshot_cli.run_directory import RunDirectory
from snapshot_cli.training import loop
from snapshot_cli.training.predict import predict

SIZES = (5_000, 10_000, 20_000, 40_000)


class Silent:
    """A callback that does nothing."""

    def on_start(self, done: int, total_steps: int, epoch_length: int) -> None:
        """Do nothing."""

    def on_step(self, step: int, lr: float) -> None:
        """Do nothing."""

    def on_epoch(self, row: dict[str, float]) -> None:
        """Do nothing."""


def loader(dataset: Dataset, *, device: torch.device, blocks: int) -> list[Row]:
    """Return augmented images/s on one thread, and its ratio to an image-by-image loader."""
    batches = _prepared("resnet-8", dataset, device).batches["train"]
    per_image = iter(images.per_image(dataset))
    epochs = _epochs(batches)
    work = {
        "ours": lambda: timed(lambda: list(_taken(epochs, 100))),
        "image by image": lambda: timed(lambda: list(_taken(per_image, 10))).times(10),
    }
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # also on a machine with a GPU
    times = by_turns(work, blocks=blocks)
    torch.set_num_threads(threads)
    count = 100 * images.BATCH
    wall, cpu = ([[getattr(t, clock) for t in times[name]] for name in times] for clock in ("wall", "cpu"))
    return [
        Row("augmentation, one thread", *(estimate([count / t for t in clock[0]]) for clock in (wall, cpu)),
            "images/s", least=20_000),
        Row("augmentation: ours / image by image", ratio(wall[1], wall[0]), ratio(cpu[1], cpu[0])),
    ]  # fmt: skip


def evaluation(dataset: Dataset, *, device: torch.device, blocks: int) -> list[Row]:
    """Return the seconds to predict 10,000 images six times, and to score every ensemble size from stored logits."""
    training, draw = _prepared("resnet-8", dataset, device), np.random.default_rng(0)
    six = timed(lambda: [predict(training.network, training.batches["test"]) for _ in range(6)])
    logits = draw.normal(size=(6, 10_000, 100)).astype(np.float32)
    labels = draw.integers(0, 100, 10_000)
    times = by_turns({"sizes": lambda: timed(lambda: ensembles.evaluate(logits, labels))}, blocks=blocks)["sizes"]
    walls, cpus = ([getattr(t, clock) for t in times] for clock in ("wall", "cpu"))
    return [
        Row("resnet-8: 6 snapshots on 10,000 images", estimate([six.wall]), estimate([six.cpu]), "s"),
        Row("all scores of sizes 1..6, 10,000 x 100", estimate(walls), estimate(cpus), "s", most=0.3),
    ]


def linearity(dataset: Dataset, *, device: torch.device, blocks: int) -> Row:
    """Return how far epoch times are from proportional to the number of training images, in percent."""
    times = by_turns({str(size): lambda size=size: _epoch(dataset, size, device) for size in SIZES}, blocks=blocks)
    off = {clock: [off_line(SIZES, [getattr(t, clock) for t in round_]) for round_ in zip(*times.values(), strict=True)]
           for clock in ("wall", "cpu")}  # fmt: skip
    name = "time of an epoch of 5k to 40k images, off a line through 0"
    return Row(name, estimate(off["wall"]), estimate(off["cpu"]), unit="%", most=5)


def off_line(sizes: tuple[int, ...], seconds: list[float]) -> float:
    """Return the largest distance from the best line through the origin, in percent of the line there.

    The best line is the one of least squares of these percentages, since noise grows with the time.
    """
    slopes = np.array(seconds) / np.array(sizes)
    slope = slopes.sum() / (slopes**2).sum()  # minimises sum of (1 - s * slope)^2
    return float(100 * np.abs(slopes * slope - 1).max())


def _epoch(dataset: Dataset, size: int, device: torch.device) -> Time:
    training = _prepared("resnet-8", dataset, device, train_size=size)
    with tempfile.TemporaryDirectory() as folder:
        training.directory = RunDirectory(Path(folder))
        return timed(lambda: loop.train_epoch(training, callback=Silent(), stop=lambda: False))


def _prepared(network: str, dataset: Dataset, device: torch.device, **settings: Any) -> loop.Training:
    run = images.run(network, **settings)
    with tempfile.TemporaryDirectory() as folder:
        return loop.prepare(run, dataset, RunDirectory(Path(folder)), Machine(device=device.type))


def _epochs(batches: Any) -> Iterator[Any]:
    epoch = 0
    while True:
        yield from batches.training(0, epoch, batch_size=images.BATCH)
        epoch += 1


def _taken(batches: Iterator[Any], count: int) -> Iterator[None]:
    """Yield None for every batch, so that no batch is kept."""
    for _ in islice(batches, count):
        yield None
