"""What may be said of a difference between two errors: exact tests, intervals, and the rule that answers a claim."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Answer = Literal["yes", "no", "not decided"]
Correct = NDArray[np.bool_]

SCORED_ON = {"test": "this test set", "holdout": "these withheld training images"}
RULE = (
    "A claim holds (yes) or is contradicted (no) where the difference of errors is significant at 5 % after Holm's "
    "correction over the comparisons of this table; else it is not decided. One seed: exact McNemar test, which speaks "
    "for these weights on {images}. Three seeds or more: the paired t interval of the per-seed differences excludes 0, "
    "at 95 % before that correction; McNemar's p by seed is shown, and decides nothing. Two seeds decide nothing."
)


def rule(split: Literal["test", "holdout"]) -> str:
    """Return the rule in words, with the images that were scored on."""
    return RULE.format(images=SCORED_ON[split])


def mcnemar(correct_a: Correct, correct_b: Correct) -> float:
    """Return the two-sided exact McNemar p-value of two networks on the same examples; 1 if they never differ.

    Raises ValueError where the two are not of one length.
    """
    from scipy.special import bdtr

    a, b = np.asarray(correct_a, dtype=bool), np.asarray(correct_b, dtype=bool)
    if a.shape != b.shape:
        raise ValueError(f"{len(a)} and {len(b)} examples cannot be paired")
    only_a, only_b = int(np.count_nonzero(a & ~b)), int(np.count_nonzero(b & ~a))
    if only_a + only_b == 0:
        return 1.0
    return min(1.0, 2 * float(bdtr(min(only_a, only_b), only_a + only_b, 0.5)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's step-down adjusted p-values, in the order given."""
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def paired_interval(differences: Sequence[float], level: float = 0.95) -> tuple[float, float]:
    """Return the t interval of the mean of paired differences, one a seed; ValueError for fewer than two."""
    from scipy.special import stdtrit

    mean, error = _mean_and_error(differences)
    half = float(stdtrit(len(differences) - 1, (1 + level) / 2)) * error
    return mean - half, mean + half


def paired_p(differences: Sequence[float]) -> float:
    """Return the two-sided p-value of the paired t test, below 1 - level exactly where `paired_interval` excludes 0."""
    from scipy.special import stdtr

    mean, error = _mean_and_error(differences)
    if error == 0:
        return 1.0 if mean == 0 else 0.0
    return 2 * float(stdtr(len(differences) - 1, -abs(mean) / error))


def mean_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float | None]:
    """Return the mean over seeds and the half-width of its t interval, None for a single seed."""
    if len(values) == 1:
        return float(values[0]), None
    low, high = paired_interval(values, level)
    return (low + high) / 2, (high - low) / 2


@dataclass(frozen=True)
class Comparison:
    """Ask whether `better` has the lower error: for each seed, both networks' correctness on the same test examples."""

    claim: str
    better: tuple[Correct, ...]
    worse: tuple[Correct, ...]


@dataclass(frozen=True)
class Verdict:
    """Answer a comparison, with what it rests on.

    `difference` is the mean error of `worse` minus that of `better` in points: above 0 it speaks for the claim, None
    without a seed. `p` is after Holm's correction. `interval` of the difference is at `level`, chosen so that it
    excludes 0 exactly where the answer is yes or no. `seed_p` are the uncorrected McNemar p-values of the seeds.
    """

    claim: str
    answer: Answer
    seeds: int
    difference: float | None
    p: float | None = None
    interval: tuple[float, float] | None = None
    level: float | None = None
    seed_p: tuple[float, ...] = ()


def judge(comparisons: Sequence[Comparison], *, alpha: float = 0.05) -> list[Verdict]:
    """Answer all comparisons of one table by `RULE`; those with no or two seeds do not count in Holm's correction.

    Raises ValueError where a comparison has not as many seeds, or examples, on one side as on the other.
    """
    differences = [_differences(comparison) for comparison in comparisons]
    seed_p = [tuple(map(mcnemar, c.better, c.worse)) for c in comparisons]
    tested = [i for i, values in enumerate(differences) if len(values) not in (0, 2)]
    raw = [seed_p[i][0] if len(differences[i]) == 1 else paired_p(differences[i]) for i in tested]
    adjusted = dict(zip(tested, holm(raw), strict=True))
    levels = dict(zip(tested, _holm_levels(raw, alpha), strict=True))
    return [
        _verdict(comparison.claim, differences[i], adjusted.get(i), levels.get(i), seed_p[i], alpha)
        for i, comparison in enumerate(comparisons)
    ]


def _verdict(
    claim: str, differences: list[float], p: float | None, level: float | None, seed_p: tuple[float, ...], alpha: float
) -> Verdict:
    seeds = len(differences)
    mean = sum(differences) / seeds if seeds else None
    answer: Answer = "not decided"
    if p is not None and mean is not None and p < alpha:
        answer = "yes" if mean > 0 else "no"
    interval = paired_interval(differences, level) if level is not None and seeds >= 3 else None
    return Verdict(claim, answer, seeds, mean, p, interval, level if interval else None, seed_p)


def _differences(comparison: Comparison) -> list[float]:
    """Return error(worse) - error(better) in percentage points, seed by seed."""
    pairs = zip(comparison.better, comparison.worse, strict=True)
    return [100 * (float(np.mean(better)) - float(np.mean(worse))) for better, worse in pairs]


def _holm_levels(p_values: Sequence[float], alpha: float) -> list[float]:
    """Return the level at which each interval excludes 0 exactly where Holm rejects.

    The k-th smallest p-value is held against alpha / (m - k + 1); after the first that fails the threshold stays.
    """
    levels = [0.0] * len(p_values)
    threshold, failed = alpha, False
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        threshold = threshold if failed else alpha / (len(p_values) - rank)
        failed = failed or p_values[index] >= threshold
        levels[index] = 1 - threshold
    return levels


def _mean_and_error(values: Sequence[float]) -> tuple[float, float]:
    if len(values) < 2:
        raise ValueError(f"an interval over seeds needs two or more, not {len(values)}")
    return float(np.mean(values)), float(np.std(values, ddof=1)) / math.sqrt(len(values))
