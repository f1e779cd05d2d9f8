"""Ensembles are plain means of softmax outputs; the scores of every size 1..M come from the members' logits alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from snapshot_cli.analysis import metrics
from snapshot_cli.analysis.metrics import Array, Floats, Labels
from snapshot_cli.scores import Metrics, Reliability, pack


@dataclass(frozen=True)
class Evaluation:
    """Hold the metrics of members 1..M and of the ensembles of the last m = 1..M of them."""

    members: tuple[Metrics, ...]
    ensembles: tuple[Metrics, ...]


def evaluate(logits: Floats, labels: Labels) -> Evaluation:
    """Return the metrics of members and ensembles from logits (members, examples, classes) and labels (examples,)."""
    return evaluate_probabilities(metrics.softmax(logits), labels)


def evaluate_probabilities(probabilities: Array, labels: Labels) -> Evaluation:
    """Return the metrics of members and ensembles from probabilities (members, examples, classes)."""
    members = tuple(measure(member, labels) for member in probabilities)
    ensembles = growing(probabilities[::-1])
    next(ensembles)  # of one member: the last
    return Evaluation(members, (members[-1], *(measure(ensemble, labels) for ensemble in ensembles)))


def measure(probabilities: Floats, labels: Labels) -> Metrics:
    """Return the metrics of probabilities (examples, classes) against labels (examples,)."""
    bins = metrics.reliability(probabilities, labels)
    calibrated_nll, temperatures = metrics.calibrate(probabilities, labels)
    return Metrics(
        error=metrics.top1_error(probabilities, labels),
        top5_error=metrics.top5_error(probabilities, labels),
        nll=metrics.nll(probabilities, labels),
        brier=metrics.brier(probabilities, labels),
        reliability=Reliability(
            count=bins.count.tolist(), confidence=bins.confidence.tolist(), accuracy=bins.accuracy.tolist()
        ),
        temperatures=temperatures,
        calibrated_nll=calibrated_nll,
        correct=pack(metrics.correct(probabilities, labels)),
    )


def growing(probabilities: Iterable[Array]) -> Iterator[Array]:
    """Yield the mean of the first m = 1..M members' probabilities (examples, classes), the paper's h_Ensemble.

    Section 3 averages the last m: give the members in reverse.
    """
    total: Array | None = None
    for size, member in enumerate(probabilities, start=1):
        total = member.copy() if total is None else np.add(total, member, out=total)
        yield total / size


def mean(probabilities: Array, members: Sequence[int]) -> Array:
    """Return the mean probabilities (examples, classes) of some members, from 0, of (members, examples, classes)."""
    averaged: Array = probabilities[list(members)].mean(axis=0)
    return averaged


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
