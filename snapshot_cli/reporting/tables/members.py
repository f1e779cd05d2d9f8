"""The error of the last m and of the first m members for every m, and of members chosen on withheld images."""

from __future__ import annotations

from collections.abc import Sequence

from snapshot_cli.reporting import labels
from snapshot_cli.reporting.drawn import Drawn, Request, split_by_dataset
from snapshot_cli.reporting.outcomes import Outcome, errors, interval_half_width, mean
from snapshot_cli.reporting.table import Cell, Column, Table, number

CAPTION = (
    "Which members to average. Is the error lowest where all are taken, and are the last m better than the first m?"
)
UNITS = "Errors in percent. The paper averages the last m."
INTERVAL = "Means over seeds, ± half of their 95 % confidence interval; without it, one seed."
BEST = "best m on the holdout"
CHOSEN = f"{BEST}: chosen by their errors on the withheld training images, never on test images."


def draw(outcomes: Sequence[Outcome], request: Request) -> list[Drawn]:
    """Return a table a dataset, with rows for the last m, the first m and the best m of each ensemble of one run."""
    several = [each for each in outcomes if each.experiment.replicas == 1 and _members(each) > 1]
    return [_table(*part) for part in split_by_dataset(several, request)]


def _table(dataset: str, outcomes: Sequence[Outcome], request: Request) -> Table:
    sizes = range(1, max(map(_members, outcomes)) + 1)
    rows: dict[tuple[str, str], list[Cell]] = {}
    records: list[dict[str, object]] = []
    for outcome in outcomes:
        network = labels.network(outcome.experiment.network)
        for members, seeds in _ways(outcome).items():
            columns = [(mean(column), interval_half_width(column)) for column in zip(*seeds, strict=True)]
            cells = [number(*column) for column in columns]
            rows[network, f"{outcome.label}, {members}"] = cells + [Cell()] * (len(sizes) - len(cells))
            names = {"dataset": dataset, "network": network, "method": outcome.label, "members": members}
            records += [
                {**names, "replicates": len(seeds), "size": size, "error": error, "error ±": half}
                for size, (error, half) in enumerate(columns, start=1)
            ]
    over_seeds = any(len(outcome.scores) > 1 for outcome in outcomes)
    chosen = any(record["members"] == BEST for record in records)
    return Table(
        request,
        CAPTION,
        cells=sum(len(outcome.scores) for outcome in outcomes),
        title=f"{request.title}: which members",
        columns=[Column(dataset, f"m = {size}", f"m = {size}") for size in sizes],
        rows=rows,
        records=records,
        legend=[" ".join([UNITS, *([INTERVAL] if over_seeds else []), *([CHOSEN] if chosen else [])])],
    )


def _members(outcome: Outcome) -> int:
    return len(outcome.finished[0].members) if outcome.scores else 0


def _ways(outcome: Outcome) -> dict[str, list[list[float]]]:
    """Return for each way to choose m = 1..M members the errors of their ensembles, a list a finished replicate."""
    ways = {
        "last m": outcome.by_replicate(lambda scores: errors(scores.last)),
        "first m": outcome.by_replicate(lambda scores: errors(scores.first)),
        BEST: [
            [choice.error for choice in scores.chosen if choice.rule == "best"]
            for scores in outcome.finished
            if scores.chosen
        ],
    }
    return {name: seeds for name, seeds in ways.items() if seeds}
