"""Experiments side by side on a terminal: the error of each, and the difference of every pair."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from snapshot_cli.analysis.claims import Pair, Verdict, compared, settings_of
from snapshot_cli.reporting.outcomes import Outcome, half_interval

NOTE = "A difference above 0 says that the first has the lower error. Intervals are at 95 %, uncorrected."


def tables(outcomes: Sequence[Outcome], pairs: Sequence[tuple[Outcome, Outcome]]) -> list[Table | str]:
    """Return a title and the table of errors and, where two are on the same images, of differences, with a note."""
    several = len({outcome.group for outcome in outcomes}) > 1
    names = {outcome.experiment: outcome.label + (f", {outcome.group}" if several else "") for outcome in outcomes}
    title = f"Error (%) on {outcomes[0].split} images" + ("" if several else f", {outcomes[0].group}")
    errors = Table("", "seeds", "error", "± 95 %")
    for outcome in outcomes:
        half = half_interval(outcome.errors)
        shown = "" if half is None else f"{half:.2f}"
        errors.add_row(names[outcome.experiment], outcome.seeds, f"{outcome.error:.2f}", shown)
    verdicts = [
        (names[one.experiment], names[other.experiment], compared(Pair("", "", settings_of(one), one, other)))
        for one, other in pairs
    ]
    verdicts = [row for row in verdicts if not row[2].on_different_images]
    if not verdicts:
        return [title, errors]
    differences = Table("", "points", "evidence")
    for first, second, verdict in verdicts:
        mean = verdict.decision.mean
        points = "–" if mean is None else f"{mean:+z.2f}".replace("-", "\N{MINUS SIGN}")
        differences.add_row(f"{first} against {second}", points, _evidence(verdict))
    return [title, errors, "Differences", differences, NOTE]


def _evidence(verdict: Verdict) -> str:
    estimate = verdict.decision.estimate
    if estimate is not None:
        low, high = (f"{end:.2f}".replace("-", "\N{MINUS SIGN}") for end in estimate.interval)
        return f"[{low}, {high}], p = {estimate.p:.2g}, {verdict.planned[0]} seeds"
    if verdict.weights_p is not None:
        return f"McNemar's p = {verdict.weights_p:.2g}, these weights only"
    finished, planned = verdict.finished[0], verdict.planned[0]
    if finished < planned:
        return f"{finished} of {planned} seeds so far: judged when all are finished"
    return f"{planned} seeds: judged from three on"
