"""Reliability diagrams: accuracy against confidence, with the examples in each bin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from snapshot_cli.analysis.metrics import Reliability

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class CalibrationPanel:
    """Hold one panel: a method and the reliability of its predictions in equal-width bins over 0 to 1."""

    title: str
    method: str
    alpha0: float | None
    reliability: Reliability


def calibration(panels: Sequence[CalibrationPanel]) -> Figure:
    """Draw a reliability diagram a panel, with its ECE, above the share of examples in each bin."""
    raise NotImplementedError
