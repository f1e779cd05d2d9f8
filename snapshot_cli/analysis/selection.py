"""Which members to average, chosen on withheld images: the last m, or a greedy subset; arrays in, numbers out.

In a short budget the first snapshots are weak, and all of them together worse than the last few.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from snapshot_cli.analysis import metrics
from snapshot_cli.analysis.metrics import Floats, Labels

ROUNDS = 20  # of the greedy selection: with replacement, so that a member may have a weight of up to 20


@dataclass(frozen=True)
class Selection:
    """Hold members by number, from 1, each as often as it counts, and their error in percent where they were chosen."""

    rule: str
    members: tuple[int, ...]
    error: float


def last(probabilities: Floats, labels: Labels) -> Selection:
    """Return the last m members with the lowest error; of equal errors the lowest NLL, then the fewest members.

    Probabilities are (members, examples, classes), labels (examples,), as below.
    """
    members = range(len(probabilities))
    candidates = [members[-m:] for m in range(1, len(members) + 1)]
    chosen = min(candidates, key=lambda candidate: _score(probabilities, labels, candidate))
    return _selection(f"last {len(chosen)}", probabilities, labels, chosen)


def greedy(probabilities: Floats, labels: Labels, *, rounds: int = ROUNDS) -> Selection:
    """Return what forward selection with replacement finds (Caruana et al. 2004, sections 2.1 and 2.2).

    It begins with the best member and adds in every round the one with which the mean is best; the best of all rounds
    is returned. Of equal errors the lowest NLL decides.
    """
    chosen: list[int] = []
    best: tuple[tuple[float, float], list[int]] | None = None
    for _ in range(rounds):
        scores = [_score(probabilities, labels, [*chosen, member]) for member in range(len(probabilities))]
        member = min(range(len(scores)), key=scores.__getitem__)
        chosen.append(member)
        if best is None or scores[member] < best[0]:
            best = scores[member], list(chosen)
    return _selection("greedy", probabilities, labels, sorted(best[1] if best else chosen))


def best_subsets(probabilities: Floats, labels: Labels) -> list[Selection]:
    """Return for each size m = 1..M the members whose ensemble has the fewest errors; of equals the first."""
    numbers = range(len(probabilities))
    subsets = [min(combinations(numbers, m), key=lambda them: _error(probabilities, labels, them)) for m in numbers[1:]]
    return [_selection("best", probabilities, labels, subset) for subset in [*subsets, tuple(numbers)]]


def choose(probabilities: Floats, labels: Labels) -> Selection:
    """Return the better one of both, the last m where they are equal."""
    both = last(probabilities, labels), greedy(probabilities, labels)
    return min(both, key=lambda selection: math.inf if math.isnan(selection.error) else selection.error)


def _score(probabilities: Floats, labels: Labels, members: Sequence[int]) -> tuple[float, float]:
    """Return error and NLL of some members; infinite where a probability is not a number."""
    mean = np.mean([probabilities[member] for member in members], axis=0)
    error, nll = metrics.top1_error(mean, labels), metrics.nll(mean, labels)
    return (math.inf, math.inf) if math.isnan(error) else (error, nll)


def _error(probabilities: Floats, labels: Labels, members: Sequence[int]) -> float:
    return metrics.top1_error(np.mean([probabilities[member] for member in members], axis=0), labels)


def _selection(rule: str, probabilities: Floats, labels: Labels, members: Sequence[int]) -> Selection:
    return Selection(rule, tuple(member + 1 for member in members), _error(probabilities, labels, members))
