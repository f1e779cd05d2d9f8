"""What the paper does not report: metrics beside the error, cost, the weighting of members, equivalent ensembles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise

import numpy as np

from snapshot_cli.analysis import metrics
from snapshot_cli.analysis.cells import Scored
from snapshot_cli.analysis.ensembles import Scores
from snapshot_cli.analysis.metrics import Array, Labels, Reliability
from snapshot_cli.config import plan


@dataclass(frozen=True)
class Metrics:
    """Hold the scores of an ensemble, its calibrated NLL, the mean disagreement of two members, its cost.

    `disagreement` is a share of the examples, None for one member; `cost` is in full budgets.
    """

    scores: Scores
    calibrated_nll: float
    disagreement: float | None
    cost: float


def measure(scored: Scored, budget: int) -> Metrics:
    """Return the metrics of the ensemble of all members; its cost is in budgets of so many epochs."""
    probabilities = scored.probabilities
    return Metrics(
        scores=scored.evaluation.ensembles[-1],
        calibrated_nll=metrics.calibrated_nll(probabilities.mean(0), scored.labels),
        disagreement=metrics.disagreement(probabilities) if len(probabilities) > 1 else None,
        cost=plan.cost(scored.members, budget),
    )


def reliability(scored: Sequence[Scored]) -> Reliability:
    """Return the reliability of the ensembles of some replicates, their examples pooled."""
    probabilities = np.concatenate([each.probabilities.mean(0) for each in scored])
    return metrics.reliability(probabilities, np.concatenate([each.labels for each in scored]))


def correlation(scored: Sequence[Scored]) -> Array:
    """Return the members' pairwise correlations (Pearson over all softmax entries), the mean over replicates."""
    matrices: Array = np.mean([metrics.correlation(each.probabilities) for each in scored], axis=0)
    return matrices


def calibrated_by_size(scored: Scored) -> list[float]:
    """Return the calibrated NLL of the ensembles of the last m = 1..M members."""
    probabilities, labels = scored.probabilities[::-1], scored.labels
    return [metrics.calibrated_nll(probabilities[:m].mean(0), labels) for m in range(1, len(probabilities) + 1)]


def equivalent(value: float, by_size: Sequence[float]) -> float:
    """Return how many members of a true ensemble reach a calibrated NLL, given the ensemble's for sizes 1..M.

    Linear between the two sizes where it is first reached (Ashukha et al. 2020, section 5); below one member 0, beyond
    all of them infinity, NaN stays NaN.
    """
    if np.isnan([value, *by_size]).any():
        return float("nan")
    if value > by_size[0]:
        return 0.0
    if value == by_size[0]:
        return 1.0
    for size, (before, after) in enumerate(pairwise(by_size), start=1):
        if after <= value:
            return size + (before - value) / (before - after)
    return float("inf")


def first_errors(scored: Scored) -> list[float]:
    """Return the errors in percent of the ensembles of the first m = 1..M members."""
    probabilities, labels = scored.probabilities, scored.labels
    return [metrics.top1_error(probabilities[:m].mean(0), labels) for m in range(1, len(probabilities) + 1)]


def best_subsets(probabilities: Array, labels: Labels) -> list[tuple[int, ...]]:
    """Return for each size m = 1..M the members, from 0, whose ensemble has the fewest errors; of equals the first.

    Only for images withheld from training, as `probabilities` (members, examples, classes) choose the members.
    """
    members = range(len(probabilities))
    return [
        min(
            combinations(members, m), key=lambda chosen: metrics.top1_error(probabilities[list(chosen)].mean(0), labels)
        )
        for m in range(1, len(probabilities) + 1)
    ]


def subset_errors(scored: Scored) -> list[float] | None:
    """Return the errors on test of the subsets of every size chosen on the holdout; None where nothing was withheld."""
    if scored.split != "test" or not all(member.run.holdout for member in scored.members):
        return None
    withheld = replace(scored, split="holdout")
    chosen = best_subsets(withheld.probabilities, withheld.labels)
    probabilities, labels = scored.probabilities, scored.labels
    return [metrics.top1_error(probabilities[list(members)].mean(0), labels) for members in chosen]
