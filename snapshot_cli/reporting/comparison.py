"""Compare experiments on the terminal: a table of errors and a table of pairwise differences."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from snapshot_cli.analysis.claims import Pair, Verdict, compare, shared_settings
from snapshot_cli.reporting.outcomes import Outcome, half_interval

NOTE = "A difference above 0 says that the first has the lower error. Intervals are at 95 %, uncorrected."


def tables(outcomes: Sequence[Outcome], pairs: Sequence[tuple[Outcome, Outcome]]) -> list[Table | str]:
    """Return a title and a table of errors; for pairs on the same images also a table of differences and a note."""
    has_groups = len({outcome.group for outcome in outcomes}) > 1
    names = {outcome.experiment: outcome.label + (f", {outcome.group}" if has_groups else "") for outcome in outcomes}
    title = f"Error (%) on {outcomes[0].split} images" + ("" if has_groups else f", {outcomes[0].group}")
    errors = Table("", "seeds", "error", "± 95 %")
    for outcome in outcomes:
        half_width = half_interval(outcome.errors)
        interval = "" if half_width is None else f"{half_width:.2f}"
        errors.add_row(names[outcome.experiment], outcome.seeds, f"{outcome.error:.2f}", interval)
    verdicts = [
        (first, second, compare(Pair("", "", shared_settings(first), first, second))) for first, second in pairs
    ]
    verdicts = [row for row in verdicts if not row[2].has_different_images]
    if not verdicts:
        return [title, errors]
    differences = Table("", "points", "evidence")
    for first, second, verdict in verdicts:
        mean = verdict.decision.mean
        points = "–" if mean is None else f"{mean:+z.2f}".replace("-", "\N{MINUS SIGN}")
        row = f"{names[first.experiment]} against {names[second.experiment]}"
        differences.add_row(row, points, _evidence(verdict))
    return [title, errors, "Differences", differences, NOTE]


def _evidence(verdict: Verdict) -> str:
    estimate = verdict.decision.estimate
    if estimate is not None:
        low, high = (f"{end:.2f}".replace("-", "\N{MINUS SIGN}") for end in estimate.interval)
        return f"[{low}, {high}], p = {estimate.p:.2g}, {verdict.planned[0]} seeds"
    if verdict.mcnemar_p is not None:
        return f"McNemar's p = {verdict.mcnemar_p:.2g}, these weights only"
    finished, planned = verdict.finished[0], verdict.planned[0]
    if finished < planned:
        return f"{finished} of {planned} seeds so far: judged when all are finished"
    return f"{planned} seeds: judged from three on"
