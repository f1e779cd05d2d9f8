"""Batches of streamed images: processes decode the files ahead, the device normalises."""

from __future__ import annotations

import errno
import multiprocessing
import sys
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

import torch
from torch.utils.data import DataLoader

from snapshot_cli.datasets import shared_memory
from snapshot_cli.datasets.augment import light_of, normalise
from snapshot_cli.datasets.decoding import Decoded, Decoding, evaluation_view, ignore_signals, training_view
from snapshot_cli.datasets.evaluation_transform import EvaluationTransform
from snapshot_cli.datasets.index import ImageFiles
from snapshot_cli.datasets.order import epoch_order
from snapshot_cli.errors import Stopped, UserError

ALL = slice(0, None, 1)  # the share of a batch of a single training process
POLL_SECONDS = 1.0  # between two looks whether to stop, while a batch is waited for
FORKS = sys.platform == "linux"  # else a process imports torch anew in every epoch; on macOS forks are unsafe
TIMED_OUT = "timed out"  # in torch's message
MAX_EVALUATION_BATCH = 128  # images of a batch that is only predicted: 512 of 224 pixels would not fit everywhere


class StoppedWaiting(Stopped):
    """Raised when training must stop while it waits for a batch."""


@dataclass
class Streamed:
    """A split read from files: files, labels (on the device), and the settings of augmentation and normalisation."""

    files: ImageFiles
    labels: torch.Tensor
    transform: EvaluationTransform
    """Of test images; crops in training have the same side."""
    mean: torch.Tensor
    std: torch.Tensor
    flip: bool
    lighting: float
    workers: int
    """Processes that decode; 0: the one that trains does it."""
    stop: Callable[[], bool] = lambda: False
    """Called while waiting for a batch; returns whether to stop."""
    data_wait: float = 0.0
    """The share of the time, since the last batches began, in which the device waited for a batch."""

    @property
    def examples(self) -> int:
        """The number of images."""
        return len(self.labels)

    def training(
        self, seed: int, epoch: int, *, batch_size: int, start: int = 0, share: slice = ALL
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield a share of the batches of an epoch, in random order and augmented; the last batch may be smaller.

        The order depends on (seed, epoch) and an image's augmentation on (seed, epoch, row) alone; the images of other
        shares, and of the batches before `start`, are not read. Raises UserError naming a file that is no longer as
        it was prepared.
        """
        rows = epoch_order(self.examples, seed, epoch)[start * batch_size :]
        view = training_view(self.transform.side, flip=self.flip)
        parts = [part[share] for part in torch.split(rows, batch_size)]
        return self._batches(parts, Decoding(self.files, view, (seed, "augmentation", epoch)))

    def evaluation(self, batch_size: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield the central crop of every image once, in order, in batches of at most MAX_EVALUATION_BATCH."""
        decoding = Decoding(self.files, evaluation_view(self.transform), None)
        return self._batches(torch.split(torch.arange(self.examples), min(batch_size, MAX_EVALUATION_BATCH)), decoding)

    def at(self, rows: torch.Tensor) -> Streamed:
        """Return the images at some rows."""
        return replace(self, files=self.files[rows.numpy()], labels=self.labels[rows.to(self.labels.device)])

    def _batches(
        self, parts: Sequence[torch.Tensor], decoding: Decoding
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        device = self.labels.device
        started, waited = time.perf_counter(), 0.0
        labels = torch.split(self.labels[torch.cat(tuple(parts)).to(device)], [len(part) for part in parts])
        with closing(self._arriving(decoding, [part.tolist() for part in parts])) as arriving:
            for batch in labels:
                waiting_since = time.perf_counter()
                images, normals = next(arriving)
                if device.type != "cuda" or torch.cuda.current_stream(device).query():  # nothing left to do
                    waited += time.perf_counter() - waiting_since
                self.data_wait = waited / (time.perf_counter() - started)
                light = light_of(self.lighting * normals).to(device, non_blocking=True)
                images, mean = images.to(device, non_blocking=True), self.mean - light[:, :, None, None]
                images = normalise(images, mean, self.std)
                yield images, batch

    def _arriving(self, decoding: Decoding, batches: list[list[int]]) -> Generator[Decoded, None, None]:
        """Yield the batches as they are decoded, and leave no decoder behind.

        Raises UserError for a file that cannot be decoded and where shared memory is full, StoppedWaiting when `stop`
        says so while a batch is waited for.
        """
        before = multiprocessing.active_children()
        try:
            arriving = iter(self._loader(decoding, batches))
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise shared_memory.too_small() from error
        decoders = [process for process in multiprocessing.active_children() if process not in before]
        try:
            for _ in batches:
                decoded = self._next(arriving)
                if isinstance(decoded, Exception):
                    raise decoded
                yield decoded
        finally:
            del arriving  # ends the decoders, except stuck ones
            for decoder in decoders:
                decoder.kill()
                decoder.join()

    def _next(self, arriving: Iterator[Decoded | UserError]) -> Decoded | Exception:
        """Return a batch, or what to raise: not here, where a traceback would hold the loader and its decoders."""
        while True:
            try:
                return next(arriving)
            except RuntimeError as error:
                words = str(error)
            if TIMED_OUT not in words:
                return RuntimeError(words)
            if self.stop():
                return StoppedWaiting("stopped while waiting for images; the same command resumes the saved state")

    def _loader(self, decoding: Decoding, batches: list[list[int]]) -> DataLoader[Decoded | UserError]:
        workers = min(self.workers, len(batches))
        return DataLoader(
            decoding,
            batch_size=None,  # an element of `batches` is one already
            sampler=batches,
            num_workers=workers,
            multiprocessing_context="fork" if workers and FORKS else None,
            timeout=POLL_SECONDS if workers else 0,
            pin_memory=self.labels.device.type == "cuda",
            worker_init_fn=ignore_signals,
            generator=torch.Generator(),  # else the loader would take numbers from the global one
        )
