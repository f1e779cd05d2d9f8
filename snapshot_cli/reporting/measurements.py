"""The tables of what the paper does not report: metrics beside the error, and which members to average."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from snapshot_cli.analysis import beyond
from snapshot_cli.analysis.beyond import Metrics
from snapshot_cli.reporting import frames, titles
from snapshot_cli.reporting.drawn import Drawn, Grid, Request
from snapshot_cli.reporting.entries import Entry, baseline, errors, grouped, mean, means, spread
from snapshot_cli.reporting.tables import DASH
from snapshot_cli.reporting.threads import in_threads

CALIBRATED = (
    "Calibrated NLL: after temperature scaling, each half of the images taking its temperature from the other half "
    "(Ashukha et al. 2020). It is the one fit that touches test labels, and is used for this metric alone."
)
EQUIVALENT = (
    "Deep-ensemble equivalent: how many members of the true ensemble reach the same calibrated NLL, linear between "
    "two sizes."
)
WITH_INTERVAL = ("error", "top-5", "NLL", "Brier", "ECE", "calibrated NLL", "disagreement")
UNITS = "Error, top-5 and disagreement in percent, ECE a fraction over 15 bins, cost in full budgets."
FULL = "A full budget is the largest of those of a network."
INTERVAL = "Means over seeds, ± half of their 95 % interval; without it, one seed."
MEASURED = (
    "The ensemble of all members by measures that the paper does not report. Do they rank the methods as the error "
    "does? Lower is better, but for disagreement and equivalent."
)
WEIGHTED = (
    "Which members to average. Is the error lowest where all are taken, and are the last m better than the first m?"
)
METRICS = ("error", "top-5", "NLL", "Brier", "ECE", "calibrated NLL", "disagreement", "equivalent", "cost")


def measured(entries: Sequence[Entry], request: Request) -> list[Drawn]:
    """Draw the metrics that the paper does not report, a table a dataset."""
    drawn: list[Drawn] = []
    for dataset, part, asked in _by_dataset(entries, request):
        yardsticks = _true_ensembles(part)
        compared = any(entry.experiment.method == "ensemble" for entry in part)
        columns = [name for name in METRICS if name != "equivalent" or compared]
        lines: dict[tuple[str, str], list[str]] = {}
        records: list[dict[str, object]] = []
        for entry, found in zip(part, in_threads(_measured, part), strict=True):
            yardstick = yardsticks.get(baseline(entry, part, "ensemble"), [])
            network, seeds = titles.network(entry.experiment.network), _by_seed(found, _share(entry, part))
            values = {name: mean(each) if each else None for name, each in seeds.items()}
            halves = {name: spread(each) if each else None for name, each in seeds.items()}
            if found and yardstick and entry.experiment.method != "ensemble":
                values["equivalent"] = beyond.equivalent(mean(seeds["calibrated NLL"]), yardstick)
            shown = _shown(values, halves, yardstick)
            lines[network, entry.method] = [shown[name] for name in columns]
            names: dict[str, object] = {"dataset": dataset, "network": network, "method": entry.method}
            names |= {"replicates": len(found)}
            records.append(names | values | {f"{name} ±": halves[name] for name in WITH_INTERVAL})
        frame = frames.frame(lines, columns, dataset=dataset)
        units = [UNITS, FULL] if any(_share(entry, part) < 1 for entry in part) else [UNITS]
        notes = [*units, *_of_seeds(part), CALIBRATED, *([EQUIVALENT] if yardsticks else [])]
        drawn.append(Grid(asked, f"{request.title}: other metrics", MEASURED, frame, records, notes))
    return drawn


def _measured(entry: Entry) -> list[Metrics]:
    return [beyond.measure(each, entry.experiment.budget) for each in entry.scored]


def _true_ensembles(entries: Sequence[Entry]) -> dict[Entry | None, list[float]]:
    """Return the calibrated NLL of each finished true ensemble of sizes 1..M."""
    finished = [entry for entry in entries if entry.experiment.method == "ensemble" and entry.scored]
    return dict(zip(finished, in_threads(_calibrated, finished), strict=True))


def _calibrated(entry: Entry) -> list[float]:
    return means([beyond.calibrated_by_size(each) for each in entry.scored])


def _share(entry: Entry, entries: Sequence[Entry]) -> float:
    """Return an experiment's budget in full ones: the largest of those of its network."""
    budgets = [each.experiment.budget for each in entries if each.experiment.network == entry.experiment.network]
    return entry.experiment.budget / max(budgets)


def _by_seed(found: Sequence[Metrics], share: float) -> dict[str, list[float]]:
    """Return every metric by seed, nothing for one that is not defined or is not of a seed."""
    values: dict[str, list[float | None]] = {
        "error": [each.scores.top1_error for each in found],
        "top-5": [each.scores.top5_error for each in found],
        "NLL": [each.scores.nll for each in found],
        "Brier": [each.scores.brier for each in found],
        "ECE": [each.scores.ece for each in found],
        "calibrated NLL": [each.calibrated_nll for each in found],
        "disagreement": [None if each.disagreement is None else 100 * each.disagreement for each in found],
        "equivalent": [],
        "cost": [share * each.cost for each in found[:1]],
    }
    return {name: [value for value in each if value is not None] for name, each in values.items()}


def _shown(
    values: Mapping[str, float | None], halves: Mapping[str, float | None], sizes: Sequence[float]
) -> dict[str, str]:
    places = dict(zip(METRICS, (2, 2, 4, 4, 4, 4, 2, 2, 2), strict=True))
    texts = {name: _number(value, halves[name], places[name]) for name, value in values.items()}
    if values["equivalent"] == 0:
        texts["equivalent"] = "<1"
    elif values["equivalent"] == float("inf"):
        texts["equivalent"] = f">{len(sizes)}"
    return texts


def _number(value: float | None, half: float | None, places: int) -> str:
    """Return a mean with half of its interval, where there is one."""
    if value is None:
        return DASH
    return f"{value:.{places}f}" + ("" if half is None else f" ± {half:.{places}f}")


def _of_seeds(entries: Sequence[Entry]) -> list[str]:
    """Return what ± is, where a mean has an interval."""
    return [INTERVAL] if any(len(entry.scored) > 1 for entry in entries) else []


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
            for which, seeds in _ways(entry).items():
                columns = [(mean(each), spread(each)) for each in zip(*seeds, strict=True)]
                shown = [_number(value, half, 2) for value, half in columns]
                lines[network, f"{entry.method}, {which}"] = shown + [""] * (len(sizes) - len(shown))
                names: dict[str, object] = {"dataset": dataset, "network": network, "method": entry.method}
                names |= {"members": which, "replicates": len(seeds)}
                records += [
                    {**names, "size": m, "error": value, "error ±": half}
                    for m, (value, half) in enumerate(columns, start=1)
                ]
        frame = frames.frame(lines, sizes, dataset=dataset)
        notes = ["Errors in percent. The paper averages the last m.", *_of_seeds(part)]
        if any(record["members"] == BEST for record in records):
            notes += [f"{BEST}: chosen by their errors on the withheld training images, never on test images."]
        drawn.append(Grid(asked, f"{request.title}: which members", WEIGHTED, frame, records, notes))
    return drawn


BEST = "best m on the holdout"


def _members(entry: Entry) -> Sequence[object]:
    return entry.scored[0].members if entry.scored else ()


def _ways(entry: Entry) -> dict[str, list[list[float]]]:
    """Return for each way to choose m = 1..M members the errors of their ensembles, a list a finished replicate."""
    ways = {"last m": errors(entry), "first m": [beyond.first_errors(each) for each in entry.scored]}
    chosen = [found for each in entry.scored if (found := beyond.subset_errors(each)) is not None]
    return ways | ({BEST: chosen} if chosen else {})


def _by_dataset(entries: Sequence[Entry], request: Request) -> list[tuple[str, list[Entry], Request]]:
    """Return the title of each dataset, its experiments and the request for its files."""
    groups = list(grouped(entries, "dataset"))
    return [
        (titles.dataset(name), part, request if len(groups) == 1 else replace(request, stem=f"{request.stem}-{name}"))
        for (name,), part in groups
    ]
