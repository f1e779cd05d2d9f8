"""Error against training budget (Figure 4 left and middle)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from snapshot_cli.reporting.figures.lines import BudgetCurve

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class BudgetPanel:
    """Hold one panel, as a rule a dataset: its title and a curve a method."""

    title: str
    curves: Sequence[BudgetCurve]


def budget(panels: Sequence[BudgetPanel]) -> Figure:
    """Draw error (%) against budget B (epochs), panels side by side with y axes of their own."""
    raise NotImplementedError
