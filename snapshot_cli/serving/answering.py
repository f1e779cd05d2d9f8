"""The output of an ensemble. Does not import torch.export, which takes longer than a prediction."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from snapshot_cli.serving.classifier import Answers
    from snapshot_cli.serving.ensemble import SnapshotEnsemble


class Answering(nn.Module):
    """Map images to averaged probabilities (batch, classes) and the agreement of the members (batch)."""

    def __init__(self, ensemble: SnapshotEnsemble) -> None:
        super().__init__()
        self.ensemble = ensemble

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        members = self.ensemble.member_probabilities(images)
        return members.mean(0), agreement(members)


def answers_of(ensemble: SnapshotEnsemble) -> Callable[[NDArray[np.uint8]], Answers]:
    """Return an ensemble as a function of images, uint8 (batch, 3, side, side)."""
    answering = Answering(ensemble).eval()

    def answer(images: NDArray[np.uint8]) -> Answers:
        with torch.inference_mode():
            probabilities, agreeing = answering(torch.from_numpy(images))
        return probabilities.numpy(), agreeing.numpy()

    return answer


def agreement(member_probabilities: Tensor) -> Tensor:
    """Return the share of members whose most probable class is the ensemble's, float32 (batch)."""
    chosen = member_probabilities.mean(0).argmax(1)
    return (member_probabilities.argmax(2) == chosen).float().mean(0)
