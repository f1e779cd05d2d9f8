"""Draw the table of likelihood, calibration, diversity and cost, which the paper does not report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from snapshot_cli.analysis import labels
from snapshot_cli.analysis.ensembles import deep_ensemble_equivalent
from snapshot_cli.analysis.outcomes import Outcome, find_baseline
from snapshot_cli.analysis.statistics import half_width, mean, means
from snapshot_cli.reporting.drawn import Drawn, Request, split_by_dataset
from snapshot_cli.reporting.table import Cell, Column, Table, number
from snapshot_cli.scores import Scores

CAPTION = (
    "Metrics of the full ensemble that the paper does not report. Do they rank the methods like the error? Lower is "
    "better, except for disagreement and equivalent."
)
UNITS = "Error, top-5 and disagreement in percent, ECE a fraction over 15 bins, cost in full budgets."
FULL = "The full budget of a network is its largest budget."
INTERVAL = "Means over seeds, ± the half-width of their 95 % confidence interval; without ±, one seed."
CALIBRATED = (
    "Calibrated NLL: NLL after temperature scaling, where either half of the images is scaled with the temperature "
    "that fits the other half (Ashukha et al. 2020). No other metric is fitted on test labels."
)
EQUIVALENT = (
    "Deep-ensemble equivalent: size of the true ensemble with the same calibrated NLL, interpolated linearly between "
    "sizes."
)
PLACES = {
    "error": 2,
    "top-5": 2,
    "NLL": 4,
    "Brier": 4,
    "ECE": 4,
    "calibrated NLL": 4,
    "disagreement": 2,
    "equivalent": 2,
    "cost": 2,
}
"""The metrics and their decimal places."""
BY_SEED = tuple(name for name in PLACES if name not in ("equivalent", "cost"))


def draw(outcomes: Sequence[Outcome], request: Request) -> list[Drawn]:
    """Return one table per dataset with one row per network and method."""
    return [
        _table(dataset, part, part_request)
        for dataset, part, part_request in split_by_dataset(outcomes, request)
        if any(outcome.scores for outcome in part)
    ]


def _table(dataset: str, outcomes: Sequence[Outcome], request: Request) -> Table:
    has_ensemble = any(outcome.experiment.method == "ensemble" for outcome in outcomes)
    names = [name for name in PLACES if name != "equivalent" or has_ensemble]
    rows: dict[tuple[str, str], list[Cell]] = {}
    records: list[dict[str, object]] = []
    for outcome in outcomes:
        ensemble_nlls = _true_ensemble_nlls(outcome, outcomes)
        by_seed = {name: _by_seed(outcome, name) for name in BY_SEED}
        values = {name: mean(numbers) if numbers else None for name, numbers in by_seed.items()}
        halves = {name: half_width(numbers) if numbers else None for name, numbers in by_seed.items()}
        nll = values["calibrated NLL"]
        equivalent = None if nll is None or not ensemble_nlls else deep_ensemble_equivalent(nll, ensemble_nlls)
        cost = outcome.finished[0].cost * _budget_fraction(outcome, outcomes) if outcome.scores else None
        values |= {"equivalent": equivalent, "cost": cost}
        network = labels.network(outcome.experiment.network)
        rows[network, outcome.label] = [_cell(name, values, halves, len(ensemble_nlls)) for name in names]
        records.append(
            {"dataset": dataset, "network": network, "method": outcome.label, "replicates": len(outcome.scores)}
            | {name: values[name] for name in PLACES}
            | {f"{name} ±": halves[name] for name in BY_SEED}
        )
    units = [UNITS, FULL] if any(_budget_fraction(outcome, outcomes) < 1 for outcome in outcomes) else [UNITS]
    has_seeds = any(len(outcome.scores) > 1 for outcome in outcomes)
    return Table(
        request,
        CAPTION,
        cells=sum(len(outcome.scores) for outcome in outcomes),
        title=f"{request.title}: other metrics",
        columns=[Column(dataset, name, name) for name in names],
        rows=rows,
        records=records,
        legend=[" ".join([*units, *([INTERVAL] if has_seeds else [])])],
        notes=[CALIBRATED, *([EQUIVALENT] if has_ensemble else [])],
    )


def _by_seed(outcome: Outcome, name: str) -> list[float]:
    """Return a metric for every finished replicate that defines it."""
    values = [_metric(scores, name) for scores in outcome.finished]
    return [value for value in values if value is not None]


def _metric(scores: Scores, name: str) -> float | None:
    if name == "disagreement":
        return _disagreement(scores)
    ensemble = scores.ensemble
    values = {
        "error": ensemble.error,
        "top-5": ensemble.top5_error,
        "NLL": ensemble.nll,
        "Brier": ensemble.brier,
        "ECE": ensemble.ece,
        "calibrated NLL": ensemble.calibrated_nll,
    }
    return values[name]


def _disagreement(scores: Scores) -> float | None:
    """Return the mean pairwise disagreement of the members; None for a single member."""
    pairs = [row[k] for k, row in enumerate(scores.disagreement) for k in range(k)]
    return mean(pairs) if pairs else None


def _true_ensemble_nlls(outcome: Outcome, outcomes: Sequence[Outcome]) -> list[float]:
    """Return the calibrated NLL of the true ensemble of the same setting, for sizes 1..M; empty without one."""
    ensemble = find_baseline(outcome, outcomes, "ensemble")
    if ensemble is None or outcome.experiment.method == "ensemble":
        return []
    return means([[metrics.calibrated_nll for metrics in scores.last] for scores in ensemble.finished])


def _budget_fraction(outcome: Outcome, outcomes: Sequence[Outcome]) -> float:
    """Return an experiment's budget as a fraction of the full budget, the largest one of its network."""
    network = outcome.experiment.network
    budgets = [other.experiment.budget for other in outcomes if other.experiment.network == network]
    return outcome.experiment.budget / max(budgets)


def _cell(name: str, values: Mapping[str, float | None], halves: Mapping[str, float | None], largest: int) -> Cell:
    value = values[name]
    if name == "equivalent" and value == 0:
        return Cell("<1")
    if name == "equivalent" and value == float("inf"):
        return Cell(f">{largest}")
    return number(value, halves.get(name), PLACES[name])
