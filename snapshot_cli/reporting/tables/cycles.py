"""Draw the table of errors by number of cycles in a fixed budget, next to the paper's (Tables 2 and 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from snapshot_cli.analysis import labels
from snapshot_cli.analysis.outcomes import Outcome
from snapshot_cli.reporting import claims
from snapshot_cli.reporting.drawn import Drawn, Request
from snapshot_cli.reporting.error_table import error_table

CAPTION = (
    "Error of the full ensemble. Few cycles give few members, and many cycles are too short: which number has the "
    "lowest error?"
)


def draw(outcomes: Sequence[Outcome], request: Request) -> list[Drawn]:
    """Return a table with one row per number of cycles and one column per dataset."""
    if not any(outcome.scores for outcome in outcomes):
        return []
    names = labels.methods([outcome.experiment for outcome in outcomes], without=["cycles"])
    rows = [replace(outcome, label=_with_cycles(outcome, names[outcome.experiment])) for outcome in outcomes]
    return [error_table(rows, request, caption=CAPTION, notes=claims.notes(outcomes, "cycles"))]


def _with_cycles(outcome: Outcome, name: str) -> str:
    experiment = outcome.experiment
    return f"{name}, M = {experiment.cycles}" if experiment.method == "snapshot" else outcome.label
