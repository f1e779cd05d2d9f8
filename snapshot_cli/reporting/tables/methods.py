"""Draw the table of errors by method, network and dataset, next to the paper's, with its claims (Table 1)."""

from __future__ import annotations

from collections.abc import Sequence

from snapshot_cli.analysis.outcomes import Outcome
from snapshot_cli.reporting import claims
from snapshot_cli.reporting.drawn import Drawn, Request
from snapshot_cli.reporting.error_table import error_table

CAPTION = (
    "Error of the full ensemble. Is Snapshot's error lower than that of the single model and of the other methods of "
    "equal cost?"
)


def draw(outcomes: Sequence[Outcome], request: Request) -> list[Drawn]:
    """Return a table with one row per network and method, and one column per dataset."""
    if not any(outcome.scores for outcome in outcomes):
        return []
    notes = [*claims.notes(outcomes, "methods"), *claims.further(outcomes, "nocycle")]
    return [error_table(outcomes, request, caption=CAPTION, notes=notes)]
