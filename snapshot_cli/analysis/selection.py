"""Choose the members to average by their error on withheld images: the last m, or a greedy subset.

With a short budget the first snapshots are weak, and the full ensemble is worse than the last few snapshots.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from snapshot_cli.analysis import metrics
from snapshot_cli.analysis.ensembles import mean
from snapshot_cli.analysis.metrics import Floats, Labels

MOST_MEMBERS = 10  # for all their subsets: 1,023
ROUNDS = 20  # of greedy selection with replacement: a member's weight is at most 20


@dataclass(frozen=True)
class Selection:
    """The chosen members by number, from 1, repeated by weight, and their error in percent on the withheld images."""

    rule: str
    members: tuple[int, ...]
    error: float


def choose_last(probabilities: Floats, labels: Labels) -> Selection:
    """Choose the last m members with the lowest error; ties take the lowest NLL, then the fewest members.

    In all functions here probabilities are (members, examples, classes) and labels (examples,).
    """
    members = range(len(probabilities))
    candidates = [members[-m:] for m in range(1, len(members) + 1)]
    chosen = min(candidates, key=lambda candidate: _score(probabilities, labels, candidate))
    return _selection(f"last {len(chosen)}", probabilities, labels, chosen)


def choose_greedy(probabilities: Floats, labels: Labels, *, rounds: int = ROUNDS) -> Selection:
    """Choose members by forward selection with replacement (Caruana et al. 2004, sections 2.1 and 2.2).

    Every round adds the member that gives the lowest error; ties take the lowest NLL. Returns the best round.
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
    """Return the subset of members with the lowest error for every size m = 1..M; ties take the first subset.

    With more than `MOST_MEMBERS` there would be too many subsets: returns none.
    """
    members = range(len(probabilities))
    if len(members) > MOST_MEMBERS:
        return []
    subsets = [
        min(combinations(members, m), key=lambda subset: _rank(_error(probabilities, labels, subset)))
        for m in members[1:]
    ]
    return [_selection("best", probabilities, labels, subset) for subset in [*subsets, tuple(members)]]


def choose(probabilities: Floats, labels: Labels) -> Selection:
    """Choose the better selection of `choose_last` and `choose_greedy`; a tie takes the last m."""
    selections = choose_last(probabilities, labels), choose_greedy(probabilities, labels)
    return min(selections, key=lambda selection: _rank(selection.error))


def _score(probabilities: Floats, labels: Labels, members: Sequence[int]) -> tuple[float, float]:
    """Return the error and NLL of the mean of some members; infinity if a probability is NaN."""
    averaged = mean(probabilities, members)
    error, nll = metrics.top1_error(averaged, labels), metrics.nll(averaged, labels)
    return _rank(error), _rank(nll)


def _rank(value: float) -> float:
    """Return a value to be minimised; NaN is the worst."""
    return math.inf if math.isnan(value) else value


def _error(probabilities: Floats, labels: Labels, members: Sequence[int]) -> float:
    return metrics.top1_error(mean(probabilities, members), labels)


def _selection(rule: str, probabilities: Floats, labels: Labels, members: Sequence[int]) -> Selection:
    return Selection(rule, tuple(member + 1 for member in members), _error(probabilities, labels, members))
