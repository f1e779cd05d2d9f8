"""Ensembles are plain means of softmax outputs; scores for every size 1..M come from the members' logits alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from snapshot_cli.analysis import metrics
from snapshot_cli.analysis.metrics import Array, Floats, Labels


@dataclass(frozen=True)
class Scores:
    """Hold what is said of one set of predictions: errors in percent, NLL in nats, Brier 0 to 2, ECE a fraction."""

    top1_error: float
    top5_error: float | None
    nll: float
    brier: float
    ece: float


@dataclass(frozen=True)
class Evaluation:
    """Hold the scores of members 1..M and of the ensembles of size 1..M, and which examples all together get right."""

    members: tuple[Scores, ...]
    ensembles: tuple[Scores, ...]
    correct: NDArray[np.bool_] = field(repr=False, compare=False)


def score(probabilities: Floats, labels: Labels) -> Scores:
    """Score probabilities (examples, classes) against labels (examples,)."""
    return Scores(
        top1_error=metrics.top1_error(probabilities, labels),
        top5_error=metrics.top5_error(probabilities, labels),
        nll=metrics.nll(probabilities, labels),
        brier=metrics.brier(probabilities, labels),
        ece=metrics.ece(probabilities, labels),
    )


def evaluate(logits: Floats | Sequence[Floats], labels: Labels) -> Evaluation:
    """Score every member and the ensembles of the last m = 1..M members (paper, section 3: h_Ensemble).

    `logits` are (members, examples, classes) or a sequence of (examples, classes); sums are float64. `members` keep the
    order given and `ensembles[m - 1]` is the mean of the softmax of the last m members.
    Raises ValueError where there is no member, or where members or labels differ in number of examples or classes.
    """
    _check(logits, labels)
    members: list[Scores] = []
    ensembles: list[Scores] = []
    total: Array | float = 0.0
    for size in range(1, len(logits) + 1):
        probabilities = metrics.softmax(logits[-size])
        members.append(score(probabilities, labels))
        total = total + probabilities
        mean = total / size
        ensembles.append(members[0] if size == 1 else score(mean, labels))
    return Evaluation(tuple(reversed(members)), tuple(ensembles), metrics.correct(mean, labels))


def _check(logits: Floats | Sequence[Floats], labels: Labels) -> None:
    if len(logits) == 0:
        raise ValueError("an ensemble needs at least one member")
    first = np.shape(logits[0])
    for member in range(len(logits)):
        shape = np.shape(logits[member])
        if len(shape) != 2 or shape != first:
            raise ValueError(f"logits of member {member + 1} are {shape}, those of member 1 {first}")
        if shape[0] != len(labels):
            raise ValueError(
                f"member {member + 1} has logits of {shape[0]} examples, but there are {len(labels)} labels"
            )
