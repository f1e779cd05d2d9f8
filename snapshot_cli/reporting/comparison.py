"""Compare experiments on the terminal: a table of errors and a table of pairwise differences."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from snapshot_cli.analysis.claims import Verdict, compare
from snapshot_cli.analysis.outcomes import Outcome
from snapshot_cli.reporting.table import DASH, signed

NOTE = "A difference above 0 means that the first has the lower error. Intervals are 95 %, uncorrected."


def tables(outcomes: Sequence[Outcome], pairs: Sequence[tuple[Outcome, Outcome]]) -> list[Table | str]:
    """Return a title and a table of errors; for pairs on the same images also a table of differences and a note.

    With several networks or datasets, both tables have a section for each; pairs across them are last.
    """
    groups = list(dict.fromkeys(outcome.group for outcome in outcomes))
    title = f"Error (%) on {outcomes[0].split} images" + (f", {groups[0]}" if len(groups) == 1 else "")
    errors, differences = Table("", "seeds", "error", "± 95 %"), Table("", "points", "evidence")
    for group in groups:
        _begin_section(errors, group, groups)
        for outcome in outcomes:
            if outcome.group == group:
                interval = "" if outcome.half_width is None else f"{outcome.half_width:.2f}"
                errors.add_row(outcome.label, outcome.seeds, f"{outcome.error:.2f}", interval)
    verdicts = [(first, second, compare(first, second)) for first, second in pairs]
    verdicts = [row for row in verdicts if not row[2].has_different_images]
    for group in (*groups, ""):
        rows = [row for row in verdicts if (row[0].group if row[0].group == row[1].group else "") == group]
        if rows:
            _begin_section(differences, group or "Across", groups)
        for *pair, verdict in rows:
            names = [outcome.label if group else f"{outcome.label}, {outcome.group}" for outcome in pair]
            mean = verdict.decision.mean
            differences.add_row(" against ".join(names), DASH if mean is None else signed(mean), _evidence(verdict))
    return [title, errors, "Differences", differences, NOTE] if verdicts else [title, errors]


def _begin_section(table: Table, group: str, groups: Sequence[str]) -> None:
    """Add a row with the name of a network and dataset if there are several."""
    if len(groups) > 1:
        table.add_section()
        table.add_row(group, style="bold")


def _evidence(verdict: Verdict) -> str:
    estimate = verdict.decision.estimate
    if estimate is not None:
        low, high = (signed(end, "-") for end in estimate.interval)
        return f"[{low}, {high}], p = {estimate.p:.2g}, {verdict.planned[0]} seeds"
    if verdict.mcnemar_p is not None:
        return f"McNemar's p = {verdict.mcnemar_p:.2g}, these weights only"
    finished, planned = verdict.finished[0], verdict.planned[0]
    if finished < planned:
        return f"{finished} of {planned} seeds so far: judged when all are finished"
    return f"{planned} seeds: judged with three or more"
