"""The tables: errors beside the paper's, with its claims judged below them, and what the paper does not report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from snapshot_cli.analysis import beyond, claims
from snapshot_cli.analysis.beyond import Metrics
from snapshot_cli.analysis.claims import Outcome
from snapshot_cli.analysis.statistics import Verdict, rule
from snapshot_cli.config.plan import label
from snapshot_cli.reporting import frames, processes, tables, titles
from snapshot_cli.reporting.drawn import Drawn, Grid, Request, Rows
from snapshot_cli.reporting.entries import Entry, errors, grouped, mean, means, paper_value, spread
from snapshot_cli.reporting.tables import DASH
from snapshot_cli.run_directory import Split

CALIBRATED = (
    "Calibrated NLL: after temperature scaling, each half of the images taking its temperature from the other half "
    "(Ashukha et al. 2020). It is the one fit that touches test labels, and is used for this metric alone."
)
EQUIVALENT = (
    "Deep-ensemble equivalent: how many members of the true ensemble reach the same calibrated NLL, linear between "
    "two sizes."
)
METRICS = ("error", "top-5", "NLL", "Brier", "ECE", "calibrated NLL", "disagreement", "equivalent", "cost")


def methods(entries: Sequence[Entry], request: Request) -> list[Drawn]:
    """Draw Table 1: a line a network and method, a column a dataset."""
    return [Rows(request, [row(entry) for entry in entries], [*processes.notes(entries), *_claims(entries, "methods")])]


def cycles(entries: Sequence[Entry], request: Request) -> list[Drawn]:
    """Draw Tables 2 and 3: a line for every number of cycles."""
    named = [replace(entry, method=_with_cycles(entry)) for entry in entries]
    return [Rows(request, [row(entry) for entry in named], [*processes.notes(named), *_claims(entries, "cycles")])]


def row(entry: Entry) -> tables.Row:
    """Return the line of a table for an experiment: the mean over replicates, its interval and the paper's value."""
    experiment = entry.experiment
    value = paper_value(experiment)
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


def _with_cycles(entry: Entry) -> str:
    experiment = entry.experiment
    return f"{label(experiment)}, M = {experiment.cycles}" if experiment.method == "snapshot" else entry.method


def _claims(entries: Sequence[Entry], question: claims.Question) -> list[str]:
    """Return a sentence for each network and dataset that has something to compare, and the rule."""
    outcomes = [
        Outcome(
            entry.experiment, _group(entry, entries), {each.replicate: beyond.correct(each) for each in entry.scored}
        )
        for entry in entries
    ]
    found = claims.judged(outcomes, question)
    groups = dict.fromkeys(each.group for each in found if each.verdict.seeds)
    sentences = [
        f"{group}: {'; '.join(verdict(each.verdict) for each in found if each.group == group)}." for group in groups
    ]
    split: Split = next((scored.split for entry in entries for scored in entry.scored), "test")
    return [*sentences, rule(split)] if sentences else []


def _group(entry: Entry, entries: Sequence[Entry]) -> str:
    """Return network and dataset, with the budget where the table has several of them for this pair."""
    budgets = {other.experiment.budget for other in entries if other.group == entry.group}
    return f"{entry.group}, budget {entry.experiment.budget}" if len(budgets) > 1 else entry.group


def verdict(found: Verdict) -> str:
    """Return a claim and its answer, with what the answer rests on."""
    if found.difference is None:
        return f"{found.claim}: {DASH}"
    facts = [f"{found.difference:+.2f} points".replace("-", tables.MINUS)]
    if found.interval is not None and found.level is not None:
        low, high = (f"{end:.2f}".replace("-", tables.MINUS) for end in found.interval)
        seeds = ", ".join(f"{p:.2g}" for p in found.seed_p)
        facts += [f"[{low}, {high}] at {100 * found.level:.1f} % over {found.seeds} seeds, McNemar by seed p = {seeds}"]
    elif found.p is not None:
        facts += [f"p = {found.p:.2g}"]
    else:
        facts += [f"{found.seeds} seeds"]
    return f"{found.claim}: {found.answer} ({', '.join(facts)})"


def measured(entries: Sequence[Entry], request: Request) -> list[Drawn]:
    """Draw the metrics that the paper does not report, a table a dataset."""
    drawn: list[Drawn] = []
    for dataset, part, asked in _by_dataset(entries, request):
        sizes = _true_ensembles(part)
        lines: dict[tuple[str, str], list[str]] = {}
        records: list[dict[str, object]] = []
        for entry in part:
            found = [beyond.measure(each) for each in entry.scored]
            yardstick = None if entry.experiment.method == "ensemble" else sizes.get(entry.experiment.network)
            values = _values(found, yardstick) if found else dict.fromkeys(METRICS)
            lines[titles.network(entry.experiment.network), entry.method] = _shown(values, sizes, entry)
            names = {"dataset": dataset, "network": titles.network(entry.experiment.network), "method": entry.method}
            records.append({**names, "replicates": len(found), **values})
        frame = frames.frame(lines, METRICS, dataset=dataset)
        notes = ["Error, top-5 and disagreement in percent, ECE a fraction over 15 bins, cost in full budgets; means "
                 "over the seeds that there are.", CALIBRATED, *([EQUIVALENT] if sizes else [])]  # fmt: skip
        drawn.append(Grid(asked, f"{request.title}: other metrics", frame, records, notes))
    return drawn


def _true_ensembles(entries: Sequence[Entry]) -> dict[str, list[float]]:
    """Return the calibrated NLL of the finished true ensembles of sizes 1..M, by network."""
    finished = [entry for entry in entries if entry.experiment.method == "ensemble" and entry.scored]
    return {
        entry.experiment.network: means([beyond.calibrated_by_size(each) for each in entry.scored])
        for entry in finished
    }


def _values(found: Sequence[Metrics], sizes: Sequence[float] | None) -> dict[str, float | None]:
    def average(values: Sequence[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return mean(known) if known else None

    calibrated = mean([each.calibrated_nll for each in found])
    values = (
        average([each.scores.top1_error for each in found]),
        average([each.scores.top5_error for each in found]),
        average([each.scores.nll for each in found]),
        average([each.scores.brier for each in found]),
        average([each.scores.ece for each in found]),
        calibrated,
        average([None if each.disagreement is None else 100 * each.disagreement for each in found]),
        None if sizes is None else beyond.equivalent(calibrated, sizes),
        found[0].cost,
    )
    return dict(zip(METRICS, values, strict=True))


def _shown(values: Mapping[str, float | None], sizes: Mapping[str, list[float]], entry: Entry) -> list[str]:
    places = dict(zip(METRICS, (2, 2, 4, 4, 4, 4, 2, 2, 2), strict=True))
    texts = {name: DASH if value is None else f"{value:.{places[name]}f}" for name, value in values.items()}
    if values["equivalent"] == 0:
        texts["equivalent"] = "<1"
    elif values["equivalent"] == float("inf"):
        texts["equivalent"] = f">{len(sizes[entry.experiment.network])}"
    return list(texts.values())


def weighting(entries: Sequence[Entry], request: Request) -> list[Drawn]:
    """Draw the errors of the last m and of the first m members for every m, and of subsets chosen on a holdout."""
    drawn: list[Drawn] = []
    for dataset, part, asked in _by_dataset(
        [e for e in entries if len(_members(e)) > 1 and e.experiment.replicas == 1], request
    ):
        sizes = [f"m = {m}" for m in range(1, max(len(_members(entry)) for entry in part) + 1)]
        lines: dict[tuple[str, str], list[str]] = {}
        records: list[dict[str, object]] = []
        for entry in part:
            network = titles.network(entry.experiment.network)
            for which, values in _ways(entry).items():
                shown = [f"{value:.2f}" for value in values]
                lines[network, f"{entry.method}, {which}"] = shown + [""] * (len(sizes) - len(shown))
                names = {"dataset": dataset, "network": network, "method": entry.method, "members": which}
                records += [{**names, "size": m, "error": value} for m, value in enumerate(values, start=1)]
        frame = frames.frame(lines, sizes, dataset=dataset)
        notes = ["Errors in percent, means over the seeds that there are. The paper averages the last m."]
        if any(record["members"] == BEST for record in records):
            notes += [f"{BEST}: chosen by their errors on the withheld training images, never on test images."]
        drawn.append(Grid(asked, f"{request.title}: which members", frame, records, notes))
    return drawn


BEST = "best m on the holdout"


def _members(entry: Entry) -> Sequence[object]:
    return entry.scored[0].members if entry.scored else ()


def _ways(entry: Entry) -> dict[str, list[float]]:
    ways = {"last m": means(errors(entry)), "first m": means([beyond.first_errors(each) for each in entry.scored])}
    chosen = [found for each in entry.scored if (found := beyond.subset_errors(each)) is not None]
    return ways | ({BEST: means(chosen)} if chosen else {})


def _by_dataset(entries: Sequence[Entry], request: Request) -> list[tuple[str, list[Entry], Request]]:
    """Return the title of each dataset, its experiments and the request for its files."""
    groups = list(grouped(entries, "dataset"))
    return [
        (titles.dataset(name), part, request if len(groups) == 1 else replace(request, stem=f"{request.stem}-{name}"))
        for (name,), part in groups
    ]
