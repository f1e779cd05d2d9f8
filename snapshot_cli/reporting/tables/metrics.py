"""Draw the table of likelihood, calibration, diversity and cost, which the paper does not report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean

from snapshot_cli.analysis.ensembles import deep_ensemble_equivalent
from snapshot_cli.analysis.outcomes import Outcome, count_cells, find_baseline
from snapshot_cli.analysis.statistics import half_width, means
from snapshot_cli.reporting.drawn import Drawn, Request, split
from snapshot_cli.reporting.table import Cell, Column, Table, interval_legend, number
from snapshot_cli.scores import Scores

CAPTION = (
    "Metrics of the full ensemble that the paper does not report. Do they rank the methods like the error? Lower is "
    "better, except for disagreement and equivalent."
)
UNITS = "Error, top-5 and disagreement in percent, ECE a fraction over 15 bins, cost in full budgets."
FULL = "The full budget of a network is its largest budget."
CALIBRATED = (
    "Calibrated NLL: NLL after temperature scaling, where either half of the images is scaled with the temperature "
    "that fits the other half (Ashukha et al. 2020). No other metric is fitted on test labels."
)
EQUIVALENT = (
    "Deep-ensemble equivalent: size of the true ensemble with the same calibrated NLL, interpolated linearly between "
    "sizes."
)
METRICS: dict[str, tuple[int, Callable[[Scores], float | None]]] = {
    "error": (2, lambda scores: scores.ensemble.error),
    "top-5": (2, lambda scores: scores.ensemble.top5_error),
    "NLL": (4, lambda scores: scores.ensemble.nll),
    "Brier": (4, lambda scores: scores.ensemble.brier),
    "ECE": (4, lambda scores: scores.ensemble.ece),
    "calibrated NLL": (4, lambda scores: scores.ensemble.calibrated_nll),
    "disagreement": (2, lambda scores: _disagreement(scores)),
}
"""The metrics of a replicate, None if undefined, with their decimal places."""


def draw(outcomes: Sequence[Outcome], request: Request) -> list[Drawn]:
    """Return one table per dataset with one row per network and method."""
    parts = split(outcomes, request, "dataset")
    return [_table(*part) for part in parts if any(outcome.scores for outcome in part[0])]


def _table(outcomes: Sequence[Outcome], request: Request) -> Table:
    dataset = outcomes[0].dataset
    has_ensemble = any(outcome.experiment.method == "ensemble" for outcome in outcomes)
    rows: dict[tuple[str, str], list[Cell]] = {}
    records: list[Mapping[str, object]] = []
    for outcome in outcomes:
        means_by_name, halves = _means(outcome)
        nlls, nll = _true_ensemble_nlls(outcome, outcomes), means_by_name["calibrated NLL"]
        equivalent = None if nll is None or not nlls else deep_ensemble_equivalent(nll, nlls)
        cost = outcome.finished[0].cost * _budget_fraction(outcome, outcomes) if outcome.scores else None
        cells = [number(means_by_name[name], halves[name], places) for name, (places, _) in METRICS.items()]
        cells += [_equivalent_cell(equivalent, len(nlls))] if has_ensemble else []
        rows[outcome.network, outcome.label] = [*cells, number(cost)]
        records.append(
            {"dataset": dataset, "network": outcome.network, "method": outcome.label}
            | {"replicates": len(outcome.scores), **means_by_name, "equivalent": equivalent, "cost": cost}
            | {f"{name} ±": half for name, half in halves.items()}
        )
    names = [*METRICS, *(["equivalent"] if has_ensemble else []), "cost"]
    units = [UNITS, FULL] if any(_budget_fraction(outcome, outcomes) < 1 for outcome in outcomes) else [UNITS]
    return Table(
        request,
        CAPTION,
        cells=count_cells(outcomes),
        title=f"{request.title}: other metrics",
        columns=[Column(dataset, name, name) for name in names],
        rows=rows,
        records=records,
        legend=[" ".join([*units, *interval_legend(outcomes)])],
        notes=[CALIBRATED, *([EQUIVALENT] if has_ensemble else [])],
    )


def _means(outcome: Outcome) -> tuple[dict[str, float | None], dict[str, float | None]]:
    """Return the means of the metrics over the replicates that define them, and the half-widths of their intervals."""
    values = {
        name: [value for scores in outcome.finished if (value := metric(scores)) is not None]
        for name, (_, metric) in METRICS.items()
    }
    return (
        {name: fmean(by_seed) if by_seed else None for name, by_seed in values.items()},
        {name: half_width(by_seed) if by_seed else None for name, by_seed in values.items()},
    )


def _disagreement(scores: Scores) -> float | None:
    """Return the mean pairwise disagreement of the members; None for a single member."""
    pairs = [row[k] for k, row in enumerate(scores.disagreement) for k in range(k)]
    return fmean(pairs) if pairs else None


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


def _equivalent_cell(size: float | None, largest: int) -> Cell:
    if size == 0:
        return Cell("<1")
    return Cell(f">{largest}") if size == float("inf") else number(size)
