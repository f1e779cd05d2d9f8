"""Ensembles as one file of torch.export, which runs wherever torch does, without this package."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from snapshot_cli.config.experiment import Run
from snapshot_cli.errors import UserError
from snapshot_cli.serving.classifier import FACTS, Answers, Classifier, of_facts, transform_of, unreadable
from snapshot_cli.serving.ensemble import SnapshotEnsemble, agreement
from snapshot_cli.training.network import of_run

LARGEST = 16_000_000  # bytes of JSON; that of a hundred members has some hundred thousand


class Answering(nn.Module):
    """Map raw images, uint8 (batch, 3, side, side), to averaged probabilities and the members' agreement."""

    def __init__(self, ensemble: SnapshotEnsemble) -> None:
        super().__init__()
        self.ensemble = ensemble

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        members = self.ensemble.member_probabilities(images)
        return members.mean(0), agreement(members)


def program(ensemble: SnapshotEnsemble) -> ExportedProgram:
    """Return an ensemble of finished runs as a program that takes any number of raw images at once."""
    assert ensemble.transform is not None
    side = ensemble.transform.side
    images = torch.zeros(2, 3, side, side, dtype=torch.uint8)
    return torch.export.export(Answering(ensemble).eval(), (images,), dynamic_shapes=({0: Dim("batch", min=1)},))


def to_bytes(ensemble: SnapshotEnsemble, facts: Mapping[str, Any]) -> bytes:
    """Return the file of an ensemble, with what `snapshot predict` must know inside."""
    content = io.BytesIO()
    torch.export.save(program(ensemble), content, extra_files={FACTS: json.dumps(facts)})
    return content.getvalue()


def read(path: Path) -> Classifier:
    """Return an exported file as a classifier; UserError where it is none.

    The networks are built by the names in the file and take its numbers alone: its program is not run, for
    torch.export.load would unpickle, and run, whatever somebody has put there.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            facts = json.loads(_member(archive, f"extra/{FACTS}", most=LARGEST))
            ensemble = _ensemble(facts, archive)
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError, RecursionError, OverflowError):
        raise unreadable(path) from None
    except (UserError, ValueError, LookupError, TypeError, AttributeError):  # of facts that are not ours
        raise unreadable(path) from None
    answering = Answering(ensemble).eval()

    def answer(images: NDArray[np.uint8]) -> Answers:
        with torch.inference_mode():
            probabilities, agreeing = answering(torch.from_numpy(images))
        return probabilities.numpy(), agreeing.numpy()

    return of_facts(facts, path, answer)


def _ensemble(facts: Mapping[str, Any], archive: zipfile.ZipFile) -> SnapshotEnsemble:
    """Return the ensemble that the facts describe with the weights that lie in the file."""
    classes, transform = [str(name) for name in facts["classes"]], transform_of(facts)
    files = json.loads(_member(archive, "data/weights/model_weights_config.json", most=LARGEST))["config"]
    ensemble = SnapshotEnsemble(mean=(0.0,) * 3, std=(1.0,) * 3, classes=classes, transform=transform)
    if not facts["members"]:
        raise ValueError("no members")
    for number, member in enumerate(facts["members"]):
        run = Run.model_validate(facts["runs"][member["run"]]["config"])
        with torch.device("meta"):  # takes no memory, whatever the name says
            network = of_run(run, classes=len(classes), side=transform.side)
        _fill(network, f"ensemble.members.{number}.", files, archive)
        ensemble.members.append(network.eval().requires_grad_(False))
    for name in ("mean", "std"):
        setattr(ensemble, name, _tensor(getattr(ensemble, name), files[f"ensemble.{name}"]["path_name"], archive))
    return ensemble


def _fill(network: nn.Module, prefix: str, files: Mapping[str, Any], archive: zipfile.ZipFile) -> None:
    weights = {
        name: _tensor(tensor, files[prefix + name]["path_name"], archive)
        for name, tensor in network.state_dict().items()
    }
    network.load_state_dict(weights, assign=True)


def _tensor(like: Tensor, name: str, archive: zipfile.ZipFile) -> Tensor:
    """Return a file of weights as a tensor of the kind and shape of another; ValueError where it has not its size."""
    data = _member(archive, f"data/weights/{name}", most=like.nbytes)
    return torch.frombuffer(bytearray(data), dtype=like.dtype).view(like.shape)


def _member(archive: zipfile.ZipFile, name: str, *, most: int) -> bytes:
    """Return the bytes of a member, which torch never packs; ValueError where it is packed or has more than `most`."""
    top = archive.namelist()[0].partition("/")[0]
    member = archive.getinfo(f"{top}/{name}")
    if member.compress_type != zipfile.ZIP_STORED or member.file_size > most:
        raise ValueError(name)
    return archive.read(member)
