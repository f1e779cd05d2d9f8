"""The tables of errors: ours beside the paper's, with its claims judged below them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from snapshot_cli.analysis import claims
from snapshot_cli.analysis.claims import Outcome
from snapshot_cli.analysis.statistics import Correct, Verdict, rule
from snapshot_cli.reporting import processes, tables, titles
from snapshot_cli.reporting.drawn import Drawn, Request, Rows
from snapshot_cli.reporting.entries import Entry, mean, paper_value, spread
from snapshot_cli.reporting.tables import DASH

METHODS = (
    "Error of the ensemble of all members. Does Snapshot stand below the single model, and below the other methods "
    "of the same cost?"
)
CYCLES = (
    "Error of the ensemble of all members. Few cycles leave few members, many leave each too short: which number "
    "stands lowest?"
)

NAMED_IN_CLAIMS = {"alpha0", "dropout", "stochastic_depth", "replicates"}


def methods(entries: Sequence[Entry], request: Request) -> list[Drawn]:
    """Draw Table 1: a line a network and method, a column a dataset."""
    return _table(entries, request, METHODS, _claims(entries, "methods"))


def cycles(entries: Sequence[Entry], request: Request) -> list[Drawn]:
    """Draw Tables 2 and 3: a line for every number of cycles."""
    labels = titles.methods([entry.experiment for entry in entries], without=["cycles"])
    named = [replace(entry, method=_with_cycles(entry, labels[entry.experiment])) for entry in entries]
    return _table(named, request, CYCLES, _claims(entries, "cycles"))


def _table(entries: Sequence[Entry], request: Request, caption: str, answers: Sequence[str]) -> list[Drawn]:
    rows = [row(entry) for entry in entries]
    return [Rows(request, caption, rows, [*processes.notes(entries), *answers])] if rows else []


def row(entry: Entry) -> tables.Row:
    """Return the line of a table for an experiment: the mean over replicates, its interval and the paper's value."""
    experiment = entry.experiment
    value = paper_value(entry)
    found = [scored.error for scored in entry.scored]
    return tables.Row(
        dataset=titles.dataset(experiment.dataset),
        network=titles.network(experiment.network),
        method=entry.method,
        error=mean(found) if found else None,
        replicates=len(found),
        spread=spread(found) if found else None,
        paper=value.value if value else None,
        status=value.status if value else None,
        missing=entry.missing,
        runs=entry.runs,
    )


def _with_cycles(entry: Entry, label: str) -> str:
    experiment = entry.experiment
    return f"{label}, M = {experiment.cycles}" if experiment.method == "snapshot" else entry.method


def _claims(entries: Sequence[Entry], question: claims.Question) -> list[str]:
    """Return a list of lines for each network and dataset that has something to compare, and the rule."""
    outcomes = [Outcome(entry.experiment, _group(entry, entries, question), _correct(entry)) for entry in entries]
    found = claims.judged(outcomes, question)
    groups = dict.fromkeys(each.group for each in found if each.verdict.seeds)
    sentences = [
        "\n- ".join([f"{group}:", *(verdict(each.verdict) for each in found if each.group == group)])
        for group in groups
    ]
    return [*sentences, rule(entries[0].split)] if sentences else []


def _correct(entry: Entry) -> dict[int, Correct]:
    return {each.replicate: each.evaluation.correct for each in entry.scored}


def _group(entry: Entry, entries: Sequence[Entry], question: claims.Question) -> str:
    """Return network and dataset, with the settings, but for those that claims name, that vary for this pair."""
    pair = [other.experiment for other in entries if other.group == entry.group]
    named = NAMED_IN_CLAIMS if question == "methods" else {*NAMED_IN_CLAIMS, "cycles"}
    return entry.group + titles.difference(entry.experiment, pair, named)


def verdict(found: Verdict) -> str:
    """Return a claim and its answer, with what the answer rests on."""
    if found.difference is None:
        return f"{found.claim}: {DASH}"
    facts = [f"{tables.signed(found.difference)} points"]
    if found.interval is not None and found.level is not None:
        low, high = (tables.signed(end, "-") for end in found.interval)
        seeds = ", ".join(f"{p:.2g}" for p in found.seed_p)
        facts += [f"[{low}, {high}] at {100 * found.level:.1f} % over {found.seeds} seeds, McNemar by seed p = {seeds}"]
    elif found.p is not None:
        facts += [f"p = {found.p:.2g}"]
    else:
        facts += [f"{found.seeds} seeds"]
    return f"{found.claim}: {found.answer} ({', '.join(facts)})"
