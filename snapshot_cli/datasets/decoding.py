"""Decode image files into batches, in worker processes: decoding, crops, colours."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch.utils.data import Dataset, get_worker_info

from snapshot_cli.datasets import shared_memory
from snapshot_cli.datasets.evaluation_transform import EvaluationTransform
from snapshot_cli.datasets.image_files import pixels
from snapshot_cli.datasets.index import ImageFiles
from snapshot_cli.errors import UserError
from snapshot_cli.randomness import derive

Decoded = tuple[torch.Tensor, torch.Tensor]
"""Images uint8 (batch, 3, side, side) and three normal draws per image for its lighting, (batch, 3)."""
View = Callable[[torch.Tensor], torch.Tensor]

JITTER = 0.4  # of brightness, contrast and saturation: fb.resnet.torch


@dataclass(frozen=True)
class Decoding(Dataset[Decoded | UserError]):
    """Make batches of the files at some rows; a UserError is returned, because a process cannot raise it in another."""

    files: ImageFiles
    view: View
    purpose: tuple[int | str, ...] | None
    """Key from which, with the row, random draws are derived; None: no augmentation."""

    def __getitem__(self, rows: Sequence[int]) -> Decoded | UserError:
        try:
            images, normals = zip(*map(self._example, rows), strict=True)
        except UserError as problem:
            return problem
        return _shared(torch.stack(images), torch.stack(normals))

    def _example(self, row: int) -> Decoded:
        data = self.files.read(row)
        image = torch.from_numpy(pixels(lambda: data, str(self.files.path(row)))).permute(2, 0, 1)
        if self.purpose is None:
            return self.view(image), torch.zeros(3)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(*self.purpose, row))
            return self.view(image), torch.randn(3)


def _shared(*tensors: torch.Tensor) -> Decoded | UserError:
    """Move tensors to shared memory; if that were full, torch's queue would lose them silently."""
    if get_worker_info() is not None:
        try:
            for tensor in tensors:
                tensor.share_memory_()  # type: ignore[no-untyped-call]
        except RuntimeError:
            return shared_memory.too_small()
    return tensors[0], tensors[1]


def training_view(side: int, *, flip: bool) -> View:
    """Return ImageNet's augmentation: a crop of random size and position, colours, mirroring (section 4.1)."""
    from torchvision.transforms import v2  # type: ignore[import-untyped, unused-ignore]

    view: View = v2.Compose(
        [
            v2.RandomResizedCrop(side, antialias=True),
            v2.ColorJitter(JITTER, JITTER, JITTER),
            v2.RandomHorizontalFlip(0.5 if flip else 0.0),
        ]
    )
    return view


def evaluation_view(transform: EvaluationTransform) -> View:
    """Return a dataset's test transform as a map of tensors."""
    return partial(_transformed, transform)  # which, unlike a function in here, can be sent to another process


def _transformed(transform: EvaluationTransform, image: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(transform(image.permute(1, 2, 0).numpy())).permute(2, 0, 1)


def ignore_signals(worker: int) -> None:
    """Leave Ctrl-C, SIGTERM and SIGHUP, which reach the whole process group, to the training process."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
