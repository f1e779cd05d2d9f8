"""Pairwise correlation of snapshots' softmax outputs (Figure 6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from snapshot_cli.analysis.metrics import Array

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class CorrelationPanel:
    """Hold one heat map: its title and the correlations (M, M)."""

    title: str
    values: Array


def correlation(panels: Sequence[CorrelationPanel]) -> Figure:
    """Draw heat maps side by side with values in their cells and one scale, the diagonal left out of it."""
    raise NotImplementedError
