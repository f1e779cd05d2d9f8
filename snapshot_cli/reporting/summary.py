"""The summary that `snapshot reproduce` prints for a finished study: its errors and the decided claims."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from rich.table import Table

from snapshot_cli.analysis.claims import Question, judge_claims
from snapshot_cli.analysis.outcomes import Outcome
from snapshot_cli.config.study import Study
from snapshot_cli.reporting import claims
from snapshot_cli.reporting.terminal import list_errors

WIDTH = 80
INDENT: Any = {"initial_indent": "  ", "subsequent_indent": "    ", "break_on_hyphens": False}


def summary(study: Study, outcomes: Sequence[Outcome]) -> list[Table | str]:
    """Return a title, a table of mean errors and a line per decided claim; empty if no run is finished."""
    finished = [outcome for outcome in outcomes if outcome.scores]
    if not finished:
        return []
    return ["", study.title, "", list_errors(finished), "", *_decided_claims(study, outcomes)]


def _decided_claims(study: Study, outcomes: Sequence[Outcome]) -> list[str]:
    """Return a count of the decided primary claims, and a line for every claim decided yes or no."""
    stems = {drawing.kind: stem for stem, drawing in study.render.items()}
    questions: list[Question] = [question for question in ("methods", "cycles") if question in stems]
    lines: list[str] = []
    for question in questions:
        primary = [verdict for verdict in judge_claims(outcomes, question) if verdict.family == "primary"]
        decided = [verdict for verdict in primary if verdict.decision.answer in ("yes", "no")]
        if primary:
            all_claims = f"{stems[question]}.md has all, and the rule"
            lines.append(f"Claims of the paper decided here: {len(decided)} of {len(primary)}; {all_claims}")
            for verdict in decided:
                lines.append(textwrap.fill(claims.sentence(verdict), WIDTH, **INDENT))
    return [*lines, ""] if lines else []
