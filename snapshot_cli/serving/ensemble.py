"""Networks that answer together: the mean of their softmax outputs, as one module of torch."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor, nn

from snapshot_cli.datasets.evaluation_transform import EvaluationTransform
from snapshot_cli.datasets.image_files import stream_reader
from snapshot_cli.datasets.manifest import Manifest
from snapshot_cli.run_directory import RunDirectory
from snapshot_cli.serving import finished
from snapshot_cli.serving.finished import Snapshot
from snapshot_cli.serving.images import fitted
from snapshot_cli.training.checkpoint import load_weights
from snapshot_cli.training.network import of_run


class SnapshotEnsemble(nn.Module):
    """Average the softmax outputs of members, which are never in training mode.

    With `mean` and `std` of the channels, the images are normalised before a member sees them, so that an ensemble of
    finished runs takes raw ones: uint8 (batch, 3, side, side). `classes` are the names of the labels, in order, and
    `transform` maps an image of any size, uint8 (height, width, 3), to (side, side, 3) as in the test of the runs.
    """

    mean: Tensor | None
    std: Tensor | None

    def __init__(
        self,
        members: Iterable[nn.Module] = (),
        *,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        classes: Sequence[str] = (),
        transform: EvaluationTransform | None = None,
    ) -> None:
        super().__init__()
        self.members = nn.ModuleList()
        self.classes, self.transform = tuple(classes), transform
        for name, values in (("mean", mean), ("std", std)):
            self.register_buffer(name, None if values is None else torch.tensor(values).view(1, -1, 1, 1))
        for member in members:
            self.add(member)

    @classmethod
    def load(cls, *runs: str | Path, data: str | Path | None = None) -> Self:
        """Return all snapshots of finished runs, on the CPU, given their directories.

        `data` is the folder of prepared datasets: SNAPSHOT_DATA_DIR, else `data`. Raises UserError for a run that is
        not finished, whose weights were not kept or are not what it wrote, or whose dataset is not prepared there.
        """
        folder = Path(data or os.environ.get("SNAPSHOT_DATA_DIR", "data"))
        snapshots = finished.all_snapshots([RunDirectory(Path(run)) for run in runs])
        return cls.of(snapshots, finished.manifest(snapshots, folder))

    @classmethod
    def of(cls, snapshots: Sequence[Snapshot], manifest: Manifest) -> Self:
        """Return some snapshots of finished runs that were trained on a prepared dataset."""
        transform = EvaluationTransform.of(manifest)
        ensemble = cls(mean=manifest.mean, std=manifest.std, classes=manifest.classes, transform=transform)
        for directory, snapshot in snapshots:
            network = of_run(directory.run, classes=len(manifest.classes), side=manifest.size)
            load_weights(directory, snapshot, network)
            ensemble.members.append(network.eval().requires_grad_(False))
        return ensemble

    def add(self, network: nn.Module) -> None:
        """Take a snapshot: add a copy of a network as it is now."""
        self.members.append(copy.deepcopy(network).eval().requires_grad_(False))

    def open_images(self, *files: str | Path) -> Tensor:
        """Read image files and transform them as the test images were: uint8 (files, 3, side, side).

        Raises UserError, naming the file, for what is no image or too small, ValueError without a transform.
        """
        if self.transform is None:
            raise ValueError("expected an ensemble with a transform, such as SnapshotEnsemble.load returns")
        images = [fitted(stream_reader(Path(file)), str(file), self.transform) for file in files]
        return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous()

    def last(self, m: int) -> Self:
        """Return the ensemble of the last m members, which are shared, not copied; ValueError where there are fewer."""
        if not 1 <= m <= len(self.members):
            raise ValueError(f"expected 1 to {len(self.members)} members, given {m}")
        ensemble = type(self)(classes=self.classes, transform=self.transform)
        ensemble.mean, ensemble.std = self.mean, self.std
        ensemble.members = nn.ModuleList(list(self.members)[-m:])
        return ensemble

    def member_probabilities(self, images: Tensor) -> Tensor:
        """Return the softmax outputs of every member, float32 (members, batch, classes)."""
        if self.mean is not None and self.std is not None:
            images = (images.to(self.mean.dtype) - self.mean) / self.std
        return torch.stack([member(images).softmax(1) for member in self.members])

    def forward(self, images: Tensor) -> Tensor:
        """Return the mean of the members' softmax outputs, float32 (batch, classes)."""
        return self.member_probabilities(images).mean(0)

    def train(self, mode: bool = True) -> Self:
        """Stay in evaluation mode, whatever a training loop around asks for."""
        return super().train(False)


def agreement(member_probabilities: Tensor) -> Tensor:
    """Return the share of members whose most probable class is the ensemble's, float32 (batch)."""
    chosen = member_probabilities.mean(0).argmax(1)
    return (member_probabilities.argmax(2) == chosen).float().mean(0)
