"""Average the members' softmax outputs into ensembles of every size and compute their metrics."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from snapshot_cli.analysis import metrics
from snapshot_cli.analysis.metrics import Array, Floats, Labels
from snapshot_cli.scores import Metrics, pack


@dataclass(frozen=True)
class Evaluation:
    """The metrics of members 1..M and of the ensembles of the last m = 1..M members."""

    members: tuple[Metrics, ...]
    ensembles: tuple[Metrics, ...]


def evaluate(logits: Floats, labels: Labels) -> Evaluation:
    """Return the metrics of members and ensembles from logits (members, examples, classes) and labels (examples,)."""
    probabilities = metrics.softmax(logits)
    members = tuple(measure(member, labels) for member in probabilities)
    return Evaluation(members, (members[-1], *measure_first(probabilities[::-1], labels)))


def measure_first(probabilities: Array, labels: Labels) -> list[Metrics]:
    """Return the metrics of the ensembles of the first m = 2..M members (members, examples, classes).

    The paper averages the last m members: pass the members in reverse order.
    """
    ensembles = cumulative_means(probabilities)
    next(ensembles, None)  # m = 1: a member
    return [measure(ensemble, labels) for ensemble in ensembles]


def measure(probabilities: Floats, labels: Labels) -> Metrics:
    """Return the metrics of probabilities (examples, classes) against labels (examples,)."""
    calibrated_nll, temperatures = metrics.calibrate(probabilities, labels)
    return Metrics(
        error=metrics.top1_error(probabilities, labels),
        top5_error=metrics.top5_error(probabilities, labels),
        nll=metrics.nll(probabilities, labels),
        brier=metrics.brier(probabilities, labels),
        reliability=metrics.reliability(probabilities, labels),
        temperatures=temperatures,
        calibrated_nll=calibrated_nll,
        correct=pack(metrics.correct(probabilities, labels)),
    )


def cumulative_means(probabilities: Iterable[Array]) -> Iterator[Array]:
    """Yield the mean probabilities (examples, classes) of the first m = 1..M members: h_Ensemble of section 3."""
    total: Array | None = None
    for size, member in enumerate(probabilities, start=1):
        total = member.copy() if total is None else np.add(total, member, out=total)
        yield total / size


def mean(probabilities: Floats, members: Sequence[int]) -> Floats:
    """Return the mean probabilities (examples, classes) of the members with these 0-based indices.

    `probabilities` are (members, examples, classes).
    """
    averaged: Floats = probabilities[list(members)].mean(axis=0)
    return averaged


def deep_ensemble_equivalent(nll: float, nll_by_size: Sequence[float]) -> float:
    """Return the size of the true ensemble with the given calibrated NLL; `nll_by_size` has that of sizes 1..M.

    Interpolates linearly between the first two sizes that enclose the value (Ashukha et al. 2020, section 5). Returns 0
    if a single member is better, infinity if M members are worse, and NaN if any value is NaN.
    """
    if np.isnan([nll, *nll_by_size]).any():
        return float("nan")
    if nll > nll_by_size[0]:
        return 0.0
    if nll == nll_by_size[0]:
        return 1.0
    for size, (before, after) in enumerate(pairwise(nll_by_size), start=1):
        if after <= nll:
            return size + (before - nll) / (before - after)
    return float("inf")
