"""The learning rate against epochs, with the places at which snapshots are taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class RateCurve:
    """Hold the learning rate at places in epochs (iteration / iterations per epoch), and the epochs of snapshots."""

    label: str
    method: str
    alpha0: float | None
    epochs: Sequence[float]
    rates: Sequence[float]
    snapshots: Sequence[float] = ()


def schedule(curves: Sequence[RateCurve], *, title: str) -> Figure:
    """Draw the learning rate against epochs, snapshots marked."""
    raise NotImplementedError
