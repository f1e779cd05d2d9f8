"""Test error on the line from each earlier snapshot to the last (Figure 5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class InterpolationPanel:
    """Hold one panel: lambdas (points,), and errors in percent (M - 1, points), row k - 1 from snapshot k.

    lambda 0 is the earlier snapshot, 1 the last one. Panels of one `group` share their y axis.
    """

    title: str
    lambdas: Sequence[float]
    errors: Sequence[Sequence[float]]
    group: str = ""


def interpolation(panels: Sequence[InterpolationPanel]) -> Figure:
    """Draw test error (%) against lambda, a line an earlier snapshot."""
    raise NotImplementedError
