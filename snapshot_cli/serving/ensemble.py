"""The ensemble: a torch module that averages the softmax outputs of its members."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from snapshot_cli.analysis import ensembles
from snapshot_cli.analysis.ensembles import Evaluation
from snapshot_cli.datasets.evaluation_transform import EvaluationTransform
from snapshot_cli.datasets.file_bytes import stream_reader
from snapshot_cli.datasets.manifest import Manifest
from snapshot_cli.errors import UserError, reason
from snapshot_cli.files import write_atomically
from snapshot_cli.run_directory import RunDirectory
from snapshot_cli.serving import finished, program
from snapshot_cli.serving.answering import agreement
from snapshot_cli.serving.finished import Snapshot
from snapshot_cli.serving.images import transform_image
from snapshot_cli.training.checkpoint import load_weights, tensors
from snapshot_cli.training.network import build_network

BATCH_SIZE = 256  # images at a time
FORMAT = "snapshot ensemble 1"

MakeNetwork = Callable[[], nn.Module]


class SnapshotEnsemble(nn.Module):
    """Average the softmax outputs of members, which stay in evaluation mode.

    With `mean` and `std` of the channels, the ensemble takes raw images, uint8 (batch, 3, side, side), and normalises
    them. `classes` are the class names, in the order of the labels. `transform` maps an image of any size, uint8
    (height, width, 3), to (side, side, 3), as the test images of the runs were.
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
        if (mean is None) != (std is None):
            raise UserError("SnapshotEnsemble: give both mean and std, or neither")
        if mean is not None and std is not None and not (len(mean) == len(std) == 3 and min(std) > 0):
            raise UserError("SnapshotEnsemble: expected mean and std of 3 channels, std above 0")
        if isinstance(members, nn.Sequential):  # its layers are no members
            raise UserError("SnapshotEnsemble: expected a list of networks, given one; put it into [ ]")
        super().__init__()
        self.members = nn.ModuleList()
        self.classes, self.transform = tuple(classes), transform
        for name, values in (("mean", mean), ("std", std)):
            self.register_buffer(name, None if values is None else torch.tensor(values).view(1, -1, 1, 1))
        for member in members:
            self.add(member)

    @classmethod
    def load(
        cls,
        source: str | Path,
        *others: str | Path | MakeNetwork,
        make_network: MakeNetwork | None = None,
        data: str | Path | None = None,
    ) -> Self:
        """Return a saved ensemble, or all snapshots of finished runs, on the CPU.

        `load(path, make_network)` reads a file written by `save`; `make_network()` returns an untrained member.
        `load(run, ...)` takes run directories; `data` is the folder of prepared datasets (default: SNAPSHOT_DATA_DIR,
        else `data`). Raises UserError for any other file or directory, for an unfinished run, for missing or changed
        weights, and if the dataset is not prepared.
        """
        for other in others:
            make_network = other if callable(other) else make_network
        runs = [Path(source), *(Path(other) for other in others if not callable(other))]
        if not runs[0].exists():
            raise UserError(f"{runs[0]}: no such file or folder")
        if runs[0].is_file():
            return cls._saved(runs[0], make_network)
        folder = Path(data or os.environ.get("SNAPSHOT_DATA_DIR", "data"))
        snapshots = finished.all_snapshots([RunDirectory(run) for run in runs])
        return cls.of(snapshots, finished.read_dataset(snapshots, folder))

    @classmethod
    def of(cls, snapshots: Sequence[Snapshot], manifest: Manifest) -> Self:
        """Return an ensemble of snapshots of finished runs; a repeated snapshot counts twice."""
        transform = EvaluationTransform.of(manifest)
        ensemble = cls(mean=manifest.mean, std=manifest.std, classes=manifest.classes, transform=transform)
        networks: dict[Snapshot, nn.Module] = {}
        for directory, snapshot in snapshots:
            if (directory, snapshot) not in networks:
                network = build_network(directory.run, classes=len(manifest.classes), side=manifest.size)
                load_weights(directory, snapshot, network)
                networks[directory, snapshot] = network.eval().requires_grad_(False)
            ensemble.members.append(networks[directory, snapshot])
        return ensemble

    def __len__(self) -> int:
        return len(self.members)

    def __iter__(self) -> Iterator[nn.Module]:
        return iter(self.members)

    def add(self, network: nn.Module) -> None:
        """Take a snapshot: add a copy of the network; UserError if it is none or cannot be copied."""
        if not isinstance(network, nn.Module):
            raise UserError(f"add: expected a network (torch.nn.Module), given {type(network).__name__}")
        if any(map(is_lazy, network.parameters())):
            raise UserError("add: the network has lazy parameters; run one batch through it first")
        try:
            member = copy.deepcopy(network)
        except (RuntimeError, TypeError) as error:  # torch.nn.utils.weight_norm keeps tensors that cannot be copied
            raise UserError(f"add: the network cannot be copied: {reason(error)}") from error
        self.members.append(member.eval().requires_grad_(False))

    def last(self, m: int) -> Self:
        """Return the ensemble of the last m members, shared, not copied; ValueError if there are fewer."""
        self._check_members()
        if not 1 <= m <= len(self.members):
            raise ValueError(f"expected 1 to {len(self.members)} members, given {m}")
        ensemble = type(self)(classes=self.classes, transform=self.transform)
        ensemble.mean, ensemble.std = self.mean, self.std
        ensemble.members = nn.ModuleList(list(self.members)[-m:])
        return ensemble

    def open_images(self, *files: str | Path) -> Tensor:
        """Read image files and transform them as the test images were: uint8 (files, 3, side, side).

        Raises UserError, with the file, if it is not an image or is too small; ValueError without a transform.
        """
        if self.transform is None:
            raise ValueError("expected an ensemble with a transform, such as SnapshotEnsemble.load returns")
        images = [transform_image(stream_reader(Path(file)), str(file), self.transform) for file in files]
        return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous()

    def predict(self, images: Tensor | NDArray[np.generic]) -> Tensor:
        """Return the averaged probabilities, float32 (images, classes), of any number of images.

        Raises UserError for images in 0 to 1, or of another side, if uint8 of the runs' side is expected.
        """
        return self._in_batches(images).mean(0)

    def members_agree(self, images: Tensor | NDArray[np.generic]) -> Tensor:
        """Return the share of members that choose the class of the ensemble, float32 (images)."""
        return agreement(self._in_batches(images))

    def evaluate(self, batches: Iterable[tuple[Tensor, Tensor]]) -> Evaluation:
        """Score the members and the ensembles of the last 1..M of them on batches (images, labels), as `eval` does.

        Raises UserError without images, for labels that are no classes, and for the images that `predict` refuses.
        """
        logits: list[Tensor] = []
        labels: list[Tensor] = []
        with torch.inference_mode():
            for images, answers in batches:
                logits.append(self._logits(images.to(self._device)).cpu())
                labels.append(answers.cpu())
                _check_labels(labels[-1], images=len(images), classes=logits[-1].shape[2])
        if not sum(map(len, labels)):
            raise UserError("evaluate: expected batches of images and labels, given none")
        return ensembles.evaluate(torch.cat(logits, 1).numpy(), torch.cat(labels).numpy())

    def save(self, path: str | Path) -> None:
        """Write all members, classes, normalisation and transform into one .safetensors file; `load` reads it."""
        self._check_members()
        facts = {
            "members": len(self),
            "classes": self.classes,
            "transform": None if self.transform is None else self.transform.facts(),
        }
        write_atomically(Path(path), save(tensors(self), {"format": FORMAT, "ensemble": json.dumps(facts)}))

    def export(self, path: str | Path, example: Tensor | None = None) -> None:
        """Write a program that runs without this package: .pt2 (torch.export) or .onnx, by the ending of `path`.

        It maps images to probabilities (batch, classes) and agreement (batch). `example` is a batch of images, which an
        ensemble of finished runs does not need. Raises UserError for another ending.
        """
        self._check_members()
        write = program.WRITERS.get(Path(path).suffix)
        if write is None:
            raise UserError(f"{path}: expected a name that ends in {' or '.join(program.WRITERS)}")
        facts = {"classes": self.classes}
        if self.transform is not None:
            facts |= {"side": self.transform.side, "transform": self.transform.facts()}  # type: ignore[dict-item]
        write_atomically(Path(path), write(self, facts, example))

    def member_probabilities(self, images: Tensor) -> Tensor:
        """Return the softmax outputs of every member, float32 (members, batch, classes)."""
        return self._logits(images).softmax(2)

    def forward(self, images: Tensor) -> Tensor:
        """Return the mean of the members' softmax outputs, float32 (batch, classes)."""
        return self.member_probabilities(images).mean(0)

    def train(self, mode: bool = True) -> Self:
        """Stay in evaluation mode; `mode` is ignored."""
        return super().train(False)

    @property
    def _device(self) -> torch.device:
        return next((tensor.device for tensor in self.state_dict().values()), torch.device("cpu"))

    def _logits(self, images: Tensor) -> Tensor:
        """Return the members' logits, float32 (members, batch, classes)."""
        self._check_members()
        if self.mean is not None and self.std is not None:
            self._check_images(images)
            images = (images.to(self.mean.dtype) - self.mean) / self.std
        members = list(self.members)
        # a repeated member computes once; each gets its own images, which it may change in place
        logits = {member: _checked_logits(member(images.clone())) for member in dict.fromkeys(members)}
        counts = sorted({outputs.shape[1] for outputs in logits.values()})
        if len(counts) > 1:
            raise UserError(f"the members have different numbers of classes: {', '.join(map(str, counts))}")
        return torch.stack([logits[member] for member in members]).float()

    def _in_batches(self, images: Tensor | NDArray[np.generic]) -> Tensor:
        """Return the members' probabilities (members, images, classes)."""
        tensor = torch.as_tensor(images)
        with torch.inference_mode():
            parts = [self.member_probabilities(part.to(self._device)) for part in torch.split(tensor, BATCH_SIZE)]
        return torch.cat(parts, 1)

    def _check_members(self) -> None:
        if len(self.members) == 0:
            raise UserError("the ensemble has no members; take a snapshot first: ensemble.add(network)")

    def _check_images(self, images: Tensor) -> None:
        side = None if self.transform is None else self.transform.side
        shape = "(batch, 3, side, side)" if side is None else f"(batch, 3, {side}, {side})"
        given = f"given {str(images.dtype).removeprefix('torch.')} {tuple(images.shape)}"
        if images.dtype != torch.uint8:
            raise UserError(
                f"expected raw images, uint8 {shape} with 0 to 255, {given}; of 0 to 1 that is "
                "(images * 255).round().to(torch.uint8)"
            )
        if images.ndim != 4 or images.shape[1] != 3 or (side is not None and images.shape[2:] != (side, side)):
            raise UserError(f"expected images {shape}, {given}; open_images(*files) resizes as in the test of the runs")

    @classmethod
    def _saved(cls, path: Path, make_network: MakeNetwork | None) -> Self:
        if make_network is None or isinstance(make_network, nn.Module):
            raise UserError(
                f"{path}: give a function that makes a new network: SnapshotEnsemble.load(path, lambda: Network())"
            )
        try:
            with safe_open(path, "pt") as file:
                metadata, weights = file.metadata() or {}, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            if metadata.get("format") != FORMAT:
                raise ValueError
            facts = json.loads(metadata["ensemble"])
            transform = None if facts["transform"] is None else EvaluationTransform.from_facts(facts["transform"])
            ensemble = cls(classes=facts["classes"], transform=transform)
        except (SafetensorError, OSError, LookupError, TypeError, ValueError):
            raise UserError(f"{path}: not an ensemble that SnapshotEnsemble.save has written") from None
        ensemble.mean, ensemble.std = weights.get("mean"), weights.get("std")
        for _ in range(facts["members"]):
            ensemble.members.append(make_network().eval().requires_grad_(False))
        if len(set(ensemble.members)) < len(ensemble):
            raise UserError(f"{path}: make_network must return a new network at every call, not the same one")
        try:
            ensemble.load_state_dict(weights)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1].strip()
            raise UserError(f"{path}: make_network makes another network than was saved: {reason}") from None
        return ensemble


def _checked_logits(logits: Tensor) -> Tensor:
    """Return what a member gave; UserError unless it is logits (images, classes)."""
    if not isinstance(logits, Tensor) or logits.ndim != 2:
        given = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise UserError(f"expected the forward of a member to return logits (images, classes), given {given}")
    return logits


def _check_labels(labels: Tensor, *, images: int, classes: int) -> None:
    """Raise UserError unless there is a whole number below the number of classes for every image."""
    kind = str(labels.dtype).removeprefix("torch.")
    if "int" not in kind or labels.shape != (images,):
        raise UserError(
            f"evaluate: expected a whole number per image as labels, shape ({images},), "
            f"given {kind} {tuple(labels.shape)}"
        )
    if images and not 0 <= int(labels.min()) <= int(labels.max()) < classes:
        raise UserError(
            f"evaluate: expected labels from 0 to {classes - 1}, given {int(labels.min())} to {int(labels.max())}"
        )
