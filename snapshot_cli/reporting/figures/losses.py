"""Training loss against epochs, with the learning rate below it (Figure 2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from snapshot_cli.reporting.figures.schedules import RateCurve

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class LossCurve:
    """Hold a run's mean training loss in nats of the epochs that end at `epochs`."""

    label: str
    method: str
    alpha0: float | None
    epochs: Sequence[float]
    losses: Sequence[float]


def training_loss(
    curves: Sequence[LossCurve], rates: Sequence[RateCurve], *, restarts: Sequence[float], title: str
) -> Figure:
    """Draw loss (log axis) above the learning rate; `restarts` are the epochs at which snapshots 1..M are taken."""
    raise NotImplementedError
