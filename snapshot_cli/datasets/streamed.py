"""Batches of images that stay in their files: decoded ahead by processes, normalised on the device."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch.utils.data import DataLoader

from snapshot_cli.datasets.augment import light_of, normalise
from snapshot_cli.datasets.decoding import Decoded, Decoding, evaluation_view, ignore_signals, training_view
from snapshot_cli.datasets.evaluation_transform import EvaluationTransform
from snapshot_cli.datasets.index import ImageFiles
from snapshot_cli.datasets.order import epoch_order
from snapshot_cli.errors import UserError

ALL = slice(0, None, 1)  # the share of a batch that is a process's own which trains alone
LARGEST = 128  # images of a batch that is only predicted: 512 of 224 pixels would not fit everywhere


@dataclass
class Streamed:
    """Image files and labels of a split, the latter on the device, and how they are turned into batches."""

    files: ImageFiles
    labels: torch.Tensor
    transform: EvaluationTransform
    """Of test images; crops in training have the same side."""
    mean: torch.Tensor
    deviation: torch.Tensor
    flip: bool
    lighting: float
    workers: int
    """Processes that decode; 0: the one that trains does it."""
    starved: float = 0.0
    """The share of the time, since the last batches began, in which the device had nothing to do but wait for one."""

    @property
    def examples(self) -> int:
        """The number of images."""
        return len(self.labels)

    def training(
        self, seed: int, epoch: int, *, batch_size: int, start: int = 0, share: slice = ALL
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield a share of each of an epoch's batches, in random order and augmented; the last may be smaller.

        The order depends on (seed, epoch) and an image's augmentation on (seed, epoch, row) alone; the images of other
        shares, and of the batches before `start`, are not read. Raises UserError naming a file that is no longer as
        it was prepared.
        """
        rows = epoch_order(self.examples, seed, epoch)[start * batch_size :]
        view = training_view(self.transform.side, flip=self.flip)
        parts = [part[share] for part in torch.split(rows, batch_size)]
        return self._batches(parts, Decoding(self.files, view, (seed, "augmentation", epoch)))

    def evaluation(self, batch_size: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield the central crop of every image once, in order, in batches of at most LARGEST."""
        decoding = Decoding(self.files, evaluation_view(self.transform), None)
        return self._batches(torch.split(torch.arange(self.examples), min(batch_size, LARGEST)), decoding)

    def at(self, rows: torch.Tensor) -> Streamed:
        """Return the images at some rows."""
        return replace(self, files=self.files[rows.numpy()], labels=self.labels[rows.to(self.labels.device)])

    def _batches(
        self, parts: Sequence[torch.Tensor], decoding: Decoding
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        device = self.labels.device
        arriving = iter(self._loader(decoding, [part.tolist() for part in parts]))
        started, waited = time.perf_counter(), 0.0
        for part in parts:
            asked = time.perf_counter()
            decoded = next(arriving)
            if device.type != "cuda" or torch.cuda.current_stream(device).query():  # nothing left to do
                waited += time.perf_counter() - asked
            self.starved = waited / (time.perf_counter() - started)
            if isinstance(decoded, UserError):
                raise decoded
            images, normals = decoded
            light = light_of(self.lighting * normals).to(device, non_blocking=True)
            images, mean = images.to(device, non_blocking=True), self.mean - light[:, :, None, None]
            images = normalise(images, mean, self.deviation)
            yield images, self.labels[part.to(device)]

    def _loader(self, decoding: Decoding, batches: list[list[int]]) -> DataLoader[Decoded | UserError]:
        return DataLoader(
            decoding,
            batch_size=None,  # an element of `batches` is one already
            sampler=batches,
            num_workers=min(self.workers, len(batches)),
            pin_memory=self.labels.device.type == "cuda",
            worker_init_fn=ignore_signals,
            generator=torch.Generator(),  # else the loader would take numbers from the global one
        )
