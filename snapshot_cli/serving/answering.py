"""The output of an ensemble. Does not import torch.export, which takes longer than a prediction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

if TYPE_CHECKING:
    from snapshot_cli.serving.ensemble import SnapshotEnsemble


class Answering(nn.Module):
    """Map images to averaged probabilities (batch, classes) and the agreement of the members (batch)."""

    def __init__(self, ensemble: SnapshotEnsemble) -> None:
        super().__init__()
        self.ensemble = ensemble

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        members = self.ensemble.member_probabilities(images)
        return members.mean(0), agreement(members)


def agreement(member_probabilities: Tensor) -> Tensor:
    """Return the share of members whose most probable class is the ensemble's, float32 (batch)."""
    chosen = member_probabilities.mean(0).argmax(1)
    return (member_probabilities.argmax(2) == chosen).float().mean(0)
