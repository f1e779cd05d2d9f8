"""Batches of a prepared dataset: the protocol of a split, and splits held on the device as uint8."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Protocol, Self

import numpy as np
import torch

from snapshot_cli.datasets import augment, proportions, store
from snapshot_cli.datasets.evaluation_transform import EvaluationTransform
from snapshot_cli.datasets.index import ImageFiles
from snapshot_cli.datasets.manifest import crop_border
from snapshot_cli.datasets.order import epoch_order
from snapshot_cli.datasets.store import Dataset, Images
from snapshot_cli.datasets.streamed import ALL, Streamed
from snapshot_cli.errors import UserError
from snapshot_cli.randomness import generator

if TYPE_CHECKING:
    from snapshot_cli.config.experiment import Run

Batch = tuple[torch.Tensor, torch.Tensor]


class Feed(Protocol):
    """A split of a dataset, held on the device or streamed from files."""

    @property
    def labels(self) -> torch.Tensor:
        """The labels (examples,) on the device."""

    @property
    def examples(self) -> int:
        """The number of images."""

    @property
    def data_wait(self) -> float:
        """The share of the time in which the device waited for images."""

    def training(
        self, seed: int, epoch: int, *, batch_size: int, start: int = 0, share: slice = ALL
    ) -> Iterator[Batch]:
        """Yield a share of the batches of an epoch, in random order and augmented; the last batch may be smaller.

        The batches before `start` are left out.
        """

    def evaluation(self, batch_size: int) -> Iterator[Batch]:
        """Yield every image once, in order and not augmented, in batches of at most that size."""

    def at(self, rows: torch.Tensor) -> Self:
        """Return the images at some rows, given on the CPU."""


@dataclass(frozen=True)
class Batches:
    """A split held on the device: images, labels and the settings of augmentation and normalisation."""

    images: augment.Bordered
    labels: torch.Tensor
    mean: torch.Tensor
    std: torch.Tensor
    flip: bool
    lighting: float = 0.0
    data_wait: ClassVar[float] = 0.0

    @property
    def examples(self) -> int:
        """The number of images."""
        return len(self.labels)

    def training(
        self, seed: int, epoch: int, *, batch_size: int, start: int = 0, share: slice = ALL
    ) -> Iterator[Batch]:
        """Yield a share of the batches of an epoch, in random order and augmented; the last batch may be smaller.

        The batches before `start` are left out. Order and augmentation depend on (seed, epoch) alone.
        """
        device = self.labels.device
        order = epoch_order(self.examples, seed, epoch).to(device)
        chance = generator(seed, "augmentation", epoch)
        draws = augment.draw(
            self.examples, padding=self.images.padding, flip=self.flip, generator=chance, lighting=self.lighting
        ).to(device)
        for first in range(start * batch_size, self.examples, batch_size):
            part = slice(first + share.start, first + batch_size, share.step)
            yield self._batch(order[part], draws[part])

    def evaluation(self, batch_size: int) -> Iterator[Batch]:
        """Yield every image once, in order, without augmentation."""
        for indices in torch.split(torch.arange(self.examples, device=self.labels.device), batch_size):
            yield self._batch(indices, augment.centred(len(indices), self.images.padding, self.labels.device))

    def at(self, rows: torch.Tensor) -> Batches:
        """Return the images at some rows, given on the CPU."""
        rows = rows.to(self.labels.device)
        return replace(self, images=replace(self.images, pixels=self.images.pixels[rows]), labels=self.labels[rows])

    def _batch(self, indices: torch.Tensor, draws: augment.Draws) -> Batch:
        images = augment.gather(self.images, indices, draws)
        mean = self.mean if draws.light is None else self.mean - draws.light[:, :, None, None]
        images = augment.normalise(images, mean, self.std)
        return images, self.labels[indices]


@dataclass(frozen=True)
class Subsets:
    """Rows of the training images: to train on, and withheld."""

    training: np.ndarray
    holdout: np.ndarray


def subsets(labels: np.ndarray, *, train_size: int | None, holdout: int, seed: int) -> Subsets:
    """Choose rows for the holdout, in proportion to the classes, and for training, equally many per class; both sorted.

    The seed shuffles the rows of a class. Of what the holdout leaves the classes take turns, so a larger training set
    contains a smaller one. Raises UserError if a holdout leaves a class without training images.
    """
    if train_size is None and not holdout:
        return Subsets(np.arange(len(labels)), np.arange(0))
    shuffled = torch.randperm(len(labels), generator=generator(seed, "subset")).numpy()
    turn = np.empty(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        rows = shuffled[labels[shuffled] == label]
        turn[rows] = np.arange(len(rows))
    counts = np.bincount(labels)
    withheld = np.array(proportions.withheld(counts.tolist(), holdout))
    rounded_up = withheld > counts * holdout // len(labels)  # classes that gave one image more take their turn later
    rest = np.flatnonzero(turn >= withheld[labels])
    order = np.lexsort((labels[rest], rounded_up[labels[rest]], (turn - withheld[labels])[rest]))
    return Subsets(np.sort(rest[order[:train_size]]), np.flatnonzero(turn < withheld[labels]))


def build_feeds(
    run: Run,
    dataset: Dataset,
    *,
    device: torch.device,
    workers: int = 0,
    stop: Callable[[], bool] = lambda: False,
) -> dict[str, Feed]:
    """Return the batches of a run: `train`, `test` and, where images are withheld, `holdout`.

    On a CPU, parallel runs share the memory of a split that is used whole; a part of it is copied.
    Streamed images are decoded by `workers` processes; waiting for them ends with Stopped when `stop` says so.
    """
    chosen = subsets(dataset.train_labels, train_size=run.train_size, holdout=run.holdout, seed=run.split_seed)
    padding = border(run, dataset)
    flip = dataset.manifest.flip if run.flip is None else run.flip
    lighting = dataset.manifest.lighting if run.lighting is None else run.lighting

    def feed(images: Images | ImageFiles, labels: np.ndarray, border: int) -> Feed:
        mean, std = (
            torch.tensor(values, device=device).view(1, 3, 1, 1)
            for values in (dataset.manifest.mean, dataset.manifest.std)
        )
        on_device = torch.from_numpy(np.array(labels)).to(device)
        if isinstance(images, ImageFiles):
            transform = EvaluationTransform.of(dataset.manifest)
            return Streamed(images, on_device, transform, mean, std, flip, lighting, workers, stop)
        bordered = augment.bordered(torch.from_numpy(images).to(device), padding=border, fill=dataset.manifest.mean)
        return Batches(bordered, on_device, mean, std, flip, lighting)

    def training_images(rows: np.ndarray) -> Images | ImageFiles:
        images = dataset.train_images
        if len(rows) == len(dataset.train_labels):
            return images
        return images[rows] if isinstance(images, ImageFiles) else store.read_rows(images, rows)

    splits = {
        "train": feed(training_images(chosen.training), dataset.train_labels[chosen.training], padding),
        "test": feed(dataset.test_images, dataset.test_labels, 0),
    }
    if run.holdout:
        splits["holdout"] = feed(training_images(chosen.holdout), dataset.train_labels[chosen.holdout], 0)
    return splits


def border(run: Run, dataset: Dataset) -> int:
    """Return the width of the border for random crops, in pixels: the run's, else the dataset's, else side/8.

    Raises UserError for a run that asks for one of images that are streamed.
    """
    if isinstance(dataset.train_images, ImageFiles) and run.padding is not None:
        raise UserError(
            f"{run.run_id}: padding: the images of {run.dataset} are streamed, and crops of them have no border;"
            " leave padding out"
        )
    return crop_border(dataset.manifest) if run.padding is None else run.padding
