"""Error against training cost: what the M networks for free cost, beside those that are paid for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class CostCurve:
    """Hold a method's errors in percent at costs in full budgets; several points are joined by a line.

    `names` are written beside the points (such as the sizes of true ensembles), or empty; `spreads` as in `Curve`.
    """

    label: str
    method: str
    alpha0: float | None
    costs: Sequence[float]
    errors: Sequence[float]
    names: Sequence[str] = ()
    spreads: Sequence[float] = ()


def cost(curves: Sequence[CostCurve], *, title: str, measure: str = "Error (%)") -> Figure:
    """Draw error (or another measure) against training cost, every method labelled."""
    raise NotImplementedError
