"""The error table in the paper's layout: our error, the paper's value, the difference, and notes on missing runs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from snapshot_cli.analysis.outcomes import Outcome, count_cells, paper_value
from snapshot_cli.reporting.drawn import Request
from snapshot_cli.reporting.table import DASH, MINUS, Cell, Column, Table, interval_legend, number, signed
from snapshot_cli.scores import TrainedRun

BOLD = "Bold: our lowest error for each network and dataset."


def error_table(outcomes: Sequence[Outcome], request: Request, *, caption: str, notes: Sequence[str]) -> Table:
    """Return a table with one row per network and method, and columns (dataset, ours | paper | difference).

    A dataset without a value in the paper has one column, error.
    """
    in_paper = {outcome.dataset for outcome in outcomes if paper_value(outcome)}
    columns = [
        Column(dataset, name, f"{dataset} {name}" if name in ("paper", "difference") else dataset)
        for dataset in dict.fromkeys(outcome.dataset for outcome in outcomes)
        for name in (("ours", "paper", "difference") if dataset in in_paper else ("error",))
    ]
    lowest = _lowest_errors(outcomes)
    cells: dict[tuple[str, str], dict[tuple[str, str], Cell]] = {}
    for outcome in outcomes:
        ours = "ours" if outcome.dataset in in_paper else "error"
        by_name = {ours: _our_cell(outcome, lowest, request), **_paper_cells(outcome)}
        row = cells.setdefault((outcome.network, outcome.label), {})
        row |= {(outcome.dataset, name): cell for name, cell in by_name.items()}
    return Table(
        request,
        caption,
        cells=count_cells(outcomes),
        title=request.title,
        columns=columns,
        rows={names: [row.get(column[:2], Cell()) for column in columns] for names, row in cells.items()},
        records=[_record(outcome) for outcome in outcomes],
        legend=[" ".join([*_legend(outcomes), *([BOLD] if lowest else [])])],
        notes=[*_processes_note(outcomes), *notes],
    )


def _lowest_errors(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """Return the lowest printed error by network and dataset, where at least two are finished."""
    groups: dict[str, list[float]] = {}
    for outcome in outcomes:
        if outcome.scores and not math.isnan(outcome.error):
            groups.setdefault(outcome.group, []).append(round(outcome.error, 2))
    return {group: min(errors) for group, errors in groups.items() if len(errors) > 1}


def _our_cell(outcome: Outcome, lowest: Mapping[str, float], request: Request) -> Cell:
    footnote = _footnote(outcome, request.study)
    if not outcome.scores:
        return Cell(DASH, footnote=footnote)
    bold = round(outcome.error, 2) == lowest.get(outcome.group)
    return number(outcome.error, outcome.half_width)._replace(bold=bold, footnote=footnote)


def _paper_cells(outcome: Outcome) -> dict[str, Cell]:
    """Return the paper's value with its marks, and the difference from ours; nothing if the paper has no value."""
    value = paper_value(outcome)
    if value is None:
        return {}
    paper = ("≈" if value.status == "figure" else "") + f"{value.value:.2f}" + "*" * (value.status == "copied")
    has_error = outcome.scores and not math.isnan(outcome.error)
    return {"paper": Cell(paper), "difference": Cell(signed(outcome.error - value.value) if has_error else "")}


def _footnote(outcome: Outcome, study: str | None) -> str | None:
    if outcome.is_complete:
        return None
    status, missing = (f"{outcome.seeds} so far", "the rest") if outcome.scores else ("not finished", "it")
    return status + (f": snapshot reproduce {study} trains {missing}" if study else "")


def _legend(outcomes: Sequence[Outcome]) -> list[str]:
    """Return sentences that explain the columns and marks of the table."""
    sentences = ["Errors in percent."]
    sentences += interval_legend(outcomes) or (
        ["One seed each."] if any(outcome.scores for outcome in outcomes) else []
    )
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
