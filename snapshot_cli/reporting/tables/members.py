"""Draw the table of errors of the last m, the first m, and the m members chosen on withheld images, for every m."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from snapshot_cli.analysis.outcomes import Outcome, count_cells
from snapshot_cli.analysis.statistics import half_width
from snapshot_cli.reporting.drawn import Drawn, Request, split
from snapshot_cli.reporting.table import Cell, Column, Table, interval_legend, number

CAPTION = (
    "Which members should be averaged? Is the error lowest with all members, and are the last m better than the first "
    "m?"
)
UNITS = "Errors in percent. The paper averages the last m."
BEST = "best m on the holdout"
CHOSEN = f"{BEST}: the m members with the lowest error on the withheld training images, chosen without test images."


def draw(outcomes: Sequence[Outcome], request: Request) -> list[Drawn]:
    """Return one table per dataset, with rows for the last m, the first m and the best m of every ensemble."""
    ensembles = [outcome for outcome in outcomes if outcome.experiment.independent_runs == 1 and outcome.members > 1]
    return [_table(*part) for part in split(ensembles, request, "dataset")]


def _table(outcomes: Sequence[Outcome], request: Request) -> Table:
    dataset = outcomes[0].dataset
    sizes = range(1, max(outcome.members for outcome in outcomes) + 1)
    rows: dict[tuple[str, str], list[Cell]] = {}
    records: list[dict[str, object]] = []
    for outcome in outcomes:
        for members, seeds in _errors_by_choice(outcome).items():
            columns = [(fmean(column), half_width(column)) for column in zip(*seeds, strict=True)]
            cells = [number(*column) for column in columns]
            rows[outcome.network, f"{outcome.label}, {members}"] = cells + [Cell()] * (len(sizes) - len(cells))
            names = {"dataset": dataset, "network": outcome.network, "method": outcome.label, "members": members}
            records += [
                {**names, "replicates": len(seeds), "size": size, "error": error, "error ±": half}
                for size, (error, half) in enumerate(columns, start=1)
            ]
    has_chosen = any(record["members"] == BEST for record in records)
    return Table(
        request,
        CAPTION,
        cells=count_cells(outcomes),
        title=f"{request.title}: which members",
        columns=[Column(dataset, f"m = {size}", f"m = {size}") for size in sizes],
        rows=rows,
        records=records,
        legend=[" ".join([UNITS, *interval_legend(outcomes), *([CHOSEN] if has_chosen else [])])],
    )


def _errors_by_choice(outcome: Outcome) -> dict[str, list[list[float]]]:
    """Return the errors of the ensembles of m = 1..M members as (replicates, M), by the way to choose the members."""
    choices = {
        "last m": outcome.errors_of("last"),
        "first m": outcome.errors_of("first"),
        BEST: [
            best
            for scores in outcome.finished
            if (best := [choice.error for choice in scores.chosen if choice.rule == "best"])
        ],
    }
    return {name: seeds for name, seeds in choices.items() if seeds}
