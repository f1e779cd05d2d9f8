"""The error table in the paper's layout: our error, the paper's value, the difference, and notes on missing runs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from snapshot_cli.analysis import labels
from snapshot_cli.analysis.outcomes import Outcome, paper_value
from snapshot_cli.reporting.drawn import Request
from snapshot_cli.reporting.table import DASH, MINUS, Cell, Column, Table, number, signed
from snapshot_cli.scores import TrainedRun

BOLD = "Bold: the lowest of ours for each network and dataset."


def error_table(outcomes: Sequence[Outcome], request: Request, *, caption: str, notes: Sequence[str]) -> Table:
    """Return a table with one row per network and method, and columns (dataset, ours | paper | difference).

    The columns paper and difference exist only for datasets with a value in the paper.
    """
    by_cell = {(*_row(outcome), outcome.experiment.dataset): outcome for outcome in outcomes}
    columns = _columns(outcomes)
    lowest = _lowest_errors(outcomes)

    def cell(row: tuple[str, str], dataset: str, column: str) -> Cell:
        outcome = by_cell.get((*row, dataset))
        if outcome is None:
            return Cell()
        return _our_cell(outcome, lowest, request) if column == "ours" else Cell(_paper_text(outcome, column))

    return Table(
        request,
        caption,
        cells=sum(len(outcome.scores) for outcome in outcomes),
        title=request.title,
        columns=[_column(dataset, name) for dataset, name in columns],
        rows={row: [cell(row, *column) for column in columns] for row in dict.fromkeys(map(_row, outcomes))},
        records=[_record(outcome) for outcome in outcomes],
        legend=[" ".join([*_legend(outcomes), *([BOLD] if lowest else [])])],
        notes=[*_processes_note(outcomes), *notes],
    )


def _row(outcome: Outcome) -> tuple[str, str]:
    return outcome.network, outcome.label


def _columns(outcomes: Sequence[Outcome]) -> list[tuple[str, str]]:
    in_paper = {outcome.experiment.dataset for outcome in outcomes if paper_value(outcome)}
    datasets = dict.fromkeys(outcome.experiment.dataset for outcome in outcomes)
    names = ("ours", "paper", "difference")
    return [(dataset, name) for dataset in datasets for name in (names if dataset in in_paper else names[:1])]


def _column(dataset: str, name: str) -> Column:
    title = labels.dataset(dataset)
    return Column(title, name, title if name == "ours" else f"{title} {name}")


def _lowest_errors(outcomes: Sequence[Outcome]) -> dict[tuple[str, str], float]:
    """Return the lowest printed error by network and dataset, where at least two are finished."""
    groups: dict[tuple[str, str], list[float]] = {}
    for outcome in outcomes:
        if outcome.scores and not math.isnan(outcome.error):
            groups.setdefault(_pair(outcome), []).append(round(outcome.error, 2))
    return {pair: min(errors) for pair, errors in groups.items() if len(errors) > 1}


def _pair(outcome: Outcome) -> tuple[str, str]:
    return outcome.experiment.network, outcome.experiment.dataset


def _our_cell(outcome: Outcome, lowest: Mapping[tuple[str, str], float], request: Request) -> Cell:
    footnote = _footnote(outcome, request.study)
    if not outcome.scores:
        return Cell(DASH, footnote=footnote)
    bold = round(outcome.error, 2) == lowest.get(_pair(outcome))
    return number(outcome.error, outcome.half_width)._replace(bold=bold, footnote=footnote)


def _paper_text(outcome: Outcome, column: str) -> str:
    value = paper_value(outcome)
    if value is None:
        return ""
    if column == "paper":
        return ("≈" if value.status == "figure" else "") + f"{value.value:.2f}" + "*" * (value.status == "copied")
    if not outcome.scores or math.isnan(outcome.error):
        return ""
    return signed(outcome.error - value.value)


def _footnote(outcome: Outcome, study: str | None) -> str | None:
    if outcome.is_complete:
        return None
    status, missing = (f"{outcome.seeds} so far", "the rest") if outcome.scores else ("not finished", "it")
    return status + (f": snapshot reproduce {study} trains {missing}" if study else "")


def _legend(outcomes: Sequence[Outcome]) -> list[str]:
    """Return sentences that explain the columns and marks of the table."""
    sentences = ["Errors in percent."]
    counts = sorted({len(outcome.scores) for outcome in outcomes if len(outcome.scores) > 1})
    if counts:
        seeds = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
        sentences.append(
            f"± is the half-width of the 95 % interval of the mean over {seeds} seeds; without ±, one seed."
        )
    elif any(outcome.scores for outcome in outcomes):
        sentences.append("One seed each.")
    statuses = {value.status for outcome in outcomes if (value := paper_value(outcome))}
    if statuses:
        copied = ", * if copied from earlier work" if "copied" in statuses else ""
        figure = ", ≈ if read off a figure" if "figure" in statuses else ""
        sentences.append(f"Paper: the paper's value{copied}{figure}. Difference: ours {MINUS} paper, in points.")
    return sentences


def _record(outcome: Outcome) -> dict[str, object]:
    value = paper_value(outcome)
    return {
        "dataset": outcome.dataset,
        "network": outcome.network,
        "method": outcome.label,
        "error": outcome.error if outcome.scores else None,
        "replicates": len(outcome.scores),
        "spread": outcome.half_width if outcome.scores else None,
        "paper": value.value if value else None,
        "status": value.status if value else None,
        "planned": outcome.experiment.replicates,
    }


def _processes_note(outcomes: Sequence[Outcome]) -> list[str]:
    """Return a note if the runs of the table were trained with different numbers of processes."""
    runs = {
        f"{outcome.label}, {outcome.group}": [run for scores in outcome.finished for run in scores.runs.values()]
        for outcome in outcomes
        if outcome.scores
    }
    if len({_process_counts(run) for trained in runs.values() for run in trained}) < 2:
        return []
    listed = [
        f"{name}: {' and '.join(dict.fromkeys(map(_describe_processes, trained)))}" for name, trained in runs.items()
    ]
    return [
        "Trained with different numbers of processes; batch norm uses the images of one process only. "
        f"{'; '.join(listed)}."
    ]


def _process_counts(run: TrainedRun) -> tuple[int, ...]:
    """Return the number of processes at the start of a run, followed by every change."""
    first, *resumed = run.machine or [{}]
    return (first.get("ranks", 1), *(session["ranks"] for session in resumed if "ranks" in session))


def _describe_processes(run: TrainedRun) -> str:
    return ", then ".join(f"{count} with {run.config.batch_size / count:g} images" for count in _process_counts(run))
