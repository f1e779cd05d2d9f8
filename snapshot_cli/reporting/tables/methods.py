"""The error of every method by network and dataset, beside the paper's, and its claims answered (Table 1)."""

from __future__ import annotations

from collections.abc import Sequence

from snapshot_cli.reporting import claims
from snapshot_cli.reporting.drawn import Drawn, Request
from snapshot_cli.reporting.error_table import error_table
from snapshot_cli.reporting.outcomes import Outcome

CAPTION = (
    "Error of the ensemble of all members. Is Snapshot's lower than the single model's, and than those of the other "
    "methods of the same cost?"
)


def draw(outcomes: Sequence[Outcome], request: Request) -> list[Drawn]:
    """Return a row a network and method, a column a dataset."""
    if not any(outcome.scores for outcome in outcomes):
        return []
    notes = [*claims.notes(outcomes, "methods"), *claims.further(outcomes, "nocycle")]
    return [error_table(outcomes, request, caption=CAPTION, notes=notes)]
