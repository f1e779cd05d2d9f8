"""Each snapshot alone and the ensemble of the first k (Figures 7 and 8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class TimePanel:
    """Hold one panel: errors in percent of snapshots 1..M, of the ensembles of the first 1..M, of the single model.

    `single` is None where there is none.
    """

    title: str
    members: Sequence[float]
    ensembles: Sequence[float]
    single: float | None


def over_time(panels: Sequence[TimePanel], *, columns: int = 4) -> Figure:
    """Draw small multiples, `columns` a row; one panel alone has a column's width."""
    raise NotImplementedError
