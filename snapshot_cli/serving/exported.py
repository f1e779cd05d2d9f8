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

from snapshot_cli.serving.classifier import FACTS, Answers, Classifier, of_facts, unreadable
from snapshot_cli.serving.ensemble import SnapshotEnsemble, agreement


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
    assert ensemble.side is not None
    images = torch.zeros(2, 3, ensemble.side, ensemble.side, dtype=torch.uint8)
    return torch.export.export(Answering(ensemble).eval(), (images,), dynamic_shapes=({0: Dim("batch", min=1)},))


def to_bytes(ensemble: SnapshotEnsemble, facts: Mapping[str, Any]) -> bytes:
    """Return the file of an ensemble, with what `snapshot predict` must know inside."""
    content = io.BytesIO()
    torch.export.save(program(ensemble), content, extra_files={FACTS: json.dumps(facts)})
    return content.getvalue()


def read(path: Path) -> Classifier:
    """Return an exported file as a classifier; UserError where it is none."""
    extra = {FACTS: ""}
    try:
        with zipfile.ZipFile(path) as archive:  # torch would print a traceback for what is no program
            if not any(name.endswith(f"/{FACTS}") for name in archive.namelist()):
                raise unreadable(path)
        module = torch.export.load(io.BytesIO(path.read_bytes()), extra_files=extra).module()
        facts = json.loads(extra[FACTS])
    except Exception:  # torch raises nearly anything on files that are not its own
        raise unreadable(path) from None

    def answer(images: NDArray[np.uint8]) -> Answers:
        with torch.inference_mode():
            probabilities, agreeing = module(torch.from_numpy(images))
        return probabilities.numpy(), agreeing.numpy()

    return of_facts(facts, path, answer)
