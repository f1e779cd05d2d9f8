"""The table of errors in the paper's layout: ours, the paper's value beside it, the difference, and what is missing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from snapshot_cli.reporting import labels
from snapshot_cli.reporting.drawn import Request
from snapshot_cli.reporting.outcomes import Outcome, interval_half_width, paper_value
from snapshot_cli.reporting.table import DASH, MINUS, Cell, Column, Table, number, signed
from snapshot_cli.scores import TrainedRun

BOLD = "Bold: the lowest of ours for each network and dataset."


def error_table(outcomes: Sequence[Outcome], request: Request, *, caption: str, notes: Sequence[str]) -> Table:
    """Return a row for each network and method, columns (dataset, ours | paper | difference).

    Paper and difference are only beside datasets of which the paper has a number.
    """
    cells = {(*_line(outcome), outcome.experiment.dataset): outcome for outcome in outcomes}
    columns = _columns(outcomes)
    best = _best(outcomes)

    def cell(line: tuple[str, str], dataset: str, column: str) -> Cell:
        outcome = cells.get((*line, dataset))
        if outcome is None:
            return Cell()
        return _ours(outcome, best, request) if column == "ours" else Cell(_beside(outcome, column))

    return Table(
        request,
        caption,
        cells=sum(len(outcome.scores) for outcome in outcomes),
        title=request.title,
        columns=[_column(dataset, name) for dataset, name in columns],
        rows={line: [cell(line, *column) for column in columns] for line in dict.fromkeys(map(_line, outcomes))},
        records=[_record(outcome) for outcome in outcomes],
        legend=[" ".join([*_legend(outcomes), *([BOLD] if best else [])])],
        notes=[*_processes(outcomes), *notes],
    )


def _line(outcome: Outcome) -> tuple[str, str]:
    return labels.network(outcome.experiment.network), outcome.label


def _columns(outcomes: Sequence[Outcome]) -> list[tuple[str, str]]:
    in_paper = {outcome.experiment.dataset for outcome in outcomes if paper_value(outcome)}
    datasets = dict.fromkeys(outcome.experiment.dataset for outcome in outcomes)
    names = ("ours", "paper", "difference")
    return [(dataset, name) for dataset in datasets for name in (names if dataset in in_paper else names[:1])]


def _column(dataset: str, name: str) -> Column:
    title = labels.dataset(dataset)
    return Column(title, name, title if name == "ours" else f"{title} {name}")


def _best(outcomes: Sequence[Outcome]) -> dict[tuple[str, str], float]:
    """Return the lowest printed error of each network and dataset that has two or more to compare."""
    groups: dict[tuple[str, str], list[float]] = {}
    for outcome in outcomes:
        if outcome.scores and not math.isnan(outcome.error):
            groups.setdefault(_pair(outcome), []).append(round(outcome.error, 2))
    return {pair: min(errors) for pair, errors in groups.items() if len(errors) > 1}


def _pair(outcome: Outcome) -> tuple[str, str]:
    return outcome.experiment.network, outcome.experiment.dataset


def _ours(outcome: Outcome, best: Mapping[tuple[str, str], float], request: Request) -> Cell:
    footnote = _footnote(outcome, request.study)
    if not outcome.scores:
        return Cell(DASH, footnote=footnote)
    bold = round(outcome.error, 2) == best.get(_pair(outcome))
    return number(outcome.error, interval_half_width(outcome.errors))._replace(bold=bold, footnote=footnote)


def _beside(outcome: Outcome, column: str) -> str:
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
    so_far, what = (f"{outcome.seeds} so far", "the rest") if outcome.scores else ("not finished", "it")
    return so_far + (f": snapshot reproduce {study} trains {what}" if study else "")


def _legend(outcomes: Sequence[Outcome]) -> list[str]:
    """Return the sentences that explain the columns and marks, as far as the table has them."""
    sentences = ["Errors in percent."]
    counts = sorted({len(outcome.scores) for outcome in outcomes if len(outcome.scores) > 1})
    if counts:
        seeds = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
        sentences.append(f"± is half of the 95 % interval of the mean over {seeds} seeds; without it, one seed.")
    elif any(outcome.scores for outcome in outcomes):
        sentences.append("One seed each.")
    statuses = {value.status for outcome in outcomes if (value := paper_value(outcome))}
    if statuses:
        copied = ", * where it was copied from earlier work" if "copied" in statuses else ""
        figure = ", ≈ where it was read off a figure" if "figure" in statuses else ""
        sentences.append(f"Paper: the value of the paper{copied}{figure}. Difference: ours {MINUS} paper, in points.")
    return sentences


def _record(outcome: Outcome) -> dict[str, object]:
    value = paper_value(outcome)
    return {
        "dataset": labels.dataset(outcome.experiment.dataset),
        "network": labels.network(outcome.experiment.network),
        "method": outcome.label,
        "error": outcome.error if outcome.scores else None,
        "replicates": len(outcome.scores),
        "spread": interval_half_width(outcome.errors) if outcome.scores else None,
        "paper": value.value if value else None,
        "status": value.status if value else None,
        "planned": outcome.experiment.replicates,
    }


def _processes(outcomes: Sequence[Outcome]) -> list[str]:
    """Return a sentence where the runs of a table were trained in differing numbers of processes, else nothing."""
    runs = {
        f"{outcome.label}, {outcome.group}": [run for scores in outcome.finished for run in scores.runs.values()]
        for outcome in outcomes
        if outcome.scores
    }
    if len({_counts(run) for several in runs.values() for run in several}) < 2:
        return []
    listed = [f"{name}: {' and '.join(dict.fromkeys(map(_words, several)))}" for name, several in runs.items()]
    return [
        "Trained in differing numbers of processes, of which each has batch norm over its own images alone. "
        f"{'; '.join(listed)}."
    ]


def _counts(run: TrainedRun) -> tuple[int, ...]:
    """Return in how many processes a run was trained: the first number, and each to which it changed."""
    first, *later = run.machine or [{}]
    return (first.get("ranks", 1), *(place["ranks"] for place in later if "ranks" in place))


def _words(run: TrainedRun) -> str:
    return ", then ".join(f"{count} with {run.config.batch_size / count:g} images" for count in _counts(run))
