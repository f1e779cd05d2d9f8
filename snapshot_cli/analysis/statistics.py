"""What may be said of differences between errors: tests, intervals, and the rule that answers a family of claims."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Answer = Literal["yes", "no", "not decided", "not finished", "these weights only"]
Correct = NDArray[np.bool_]

ALPHA = 0.05
"""The probability at most that a family of claims of which none is true has a yes or no."""
SEEDS = 3
"""The replicates that a verdict takes at least."""


def discordant(correct_a: Correct, correct_b: Correct) -> tuple[int, int]:
    """Return on how many examples only the first of two networks is right, and only the second.

    Raises ValueError where the two are not of one length.
    """
    a, b = np.asarray(correct_a, dtype=bool), np.asarray(correct_b, dtype=bool)
    if a.shape != b.shape:
        raise ValueError(f"{len(a)} and {len(b)} examples cannot be paired")
    return int(np.count_nonzero(a & ~b)), int(np.count_nonzero(b & ~a))


def mcnemar(correct_a: Correct, correct_b: Correct) -> float:
    """Return the two-sided exact McNemar p-value of two networks on the same examples; 1 if they never differ."""
    from scipy.special import bdtr

    only_a, only_b = discordant(correct_a, correct_b)
    if only_a + only_b == 0:
        return 1.0
    return min(1.0, 2 * float(bdtr(min(only_a, only_b), only_a + only_b, 0.5)))


def holm(p_values: Sequence[float], family: int | None = None) -> list[float]:
    """Return Holm's step-down adjusted p-values, in the order given; NaN counts as 1.

    `family` is the number of tests that were planned, those without a p-value yet included.
    """
    size = len(p_values) if family is None else family
    adjusted = [1.0] * len(p_values)
    highest = 0.0
    tested = [index for index, p in enumerate(p_values) if not math.isnan(p)]
    for rank, index in enumerate(sorted(tested, key=lambda i: p_values[i])):
        highest = max(highest, min(1.0, (size - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def paired_interval(differences: Sequence[float], level: float = 0.95) -> tuple[float, float]:
    """Return the t interval of the mean of paired differences, one a seed; ValueError for fewer than two."""
    mean, error = _mean_and_error(differences)
    half = _quantile(len(differences) - 1, level) * error
    return mean - half, mean + half


def mean_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float | None]:
    """Return the mean over seeds and the half-width of its t interval, None for a single seed."""
    if len(values) == 1:
        return float(values[0]), None
    low, high = paired_interval(values, level)
    return (low + high) / 2, (high - low) / 2


@dataclass(frozen=True)
class Differences:
    """Hold a difference for every finished replicate of the `planned` ones of a pair of experiments.

    `noise` is the variance of each that the images alone give, in the square of the unit; 0 where none are counted.
    """

    values: tuple[float, ...]
    noise: tuple[float, ...]
    planned: int

    @property
    def is_complete(self) -> bool:
        """Whether all planned replicates are finished."""
        return len(self.values) == self.planned

    @property
    def is_ready(self) -> bool:
        """Whether it can be judged: complete, with enough replicates."""
        return self.is_complete and self.planned >= SEEDS


@dataclass(frozen=True)
class Estimate:
    """The mean over groups of the mean difference, its 95 % interval and the two-sided p-value of its being 0."""

    mean: float
    interval: tuple[float, float]
    p: float


def pooled(groups: Sequence[Differences]) -> Estimate:
    """Estimate one difference from groups of two replicates or more, such as networks.

    The variance of a replicate's difference is pooled over the groups, sum((R - 1) s^2) / sum(R - 1), and never taken
    below what the images that the two disagree on give; t has sum(R - 1) degrees of freedom.
    """
    freedom = sum(len(group.values) - 1 for group in groups)
    squares = sum(float(np.var(group.values)) * len(group.values) for group in groups)
    floor = fmean(fmean(group.noise) for group in groups)
    variance = max(squares / freedom, floor)
    error = math.sqrt(sum(variance / len(group.values) for group in groups)) / len(groups)
    mean = mean_so_far(groups)
    half = _quantile(freedom, 1 - ALPHA) * error
    return Estimate(mean, (mean - half, mean + half), _two_sided(mean, error, freedom))


def mean_so_far(groups: Sequence[Differences]) -> float:
    """Return the mean of the mean differences of those groups that have one."""
    return fmean(fmean(group.values) for group in groups if group.values)


@dataclass(frozen=True)
class Decision:
    """An answer, the estimate so far, and for what is judged the whole estimate and Holm's p."""

    answer: Answer
    mean: float | None
    estimate: Estimate | None = None
    p: float | None = None


def judge(family: Sequence[Sequence[Differences]]) -> list[Decision]:
    """Answer claims, each on groups with three planned replicates or more; above 0 speaks for a claim.

    A claim is judged when all of its groups are ready. Holm's correction is over all claims of the family, those that
    are not finished included.
    """
    estimates = [pooled(groups) if all(group.is_ready for group in groups) else None for groups in family]
    adjusted = iter(holm([each.p for each in estimates if each], len(family)))
    return [
        _unfinished(groups) if estimate is None else _decision(estimate, next(adjusted))
        for groups, estimate in zip(family, estimates, strict=True)
    ]


def _decision(estimate: Estimate, p: float) -> Decision:
    answer: Answer = "not decided" if p >= ALPHA else "yes" if estimate.mean > 0 else "no"
    return Decision(answer, estimate.mean, estimate, p)


def judge_alone(differences: Differences, *, margin: float | None = None) -> Decision:
    """Answer a claim outside any family by its 95 % interval: yes above 0, no below, else not decided.

    With a margin the claim is that the two are equivalent: yes where the interval lies within ±margin, no outside it.
    One planned replicate speaks for these weights only, two decide nothing.
    """
    if not differences.is_complete or not differences.values:
        return _unfinished([differences])
    if not differences.is_ready:
        answer: Answer = "these weights only" if differences.planned == 1 else "not decided"
        return Decision(answer, mean_so_far([differences]))
    estimate = pooled([differences])
    low, high = estimate.interval
    if margin is None:
        answer = "yes" if low > 0 else "no" if high < 0 else "not decided"
    else:
        answer = "yes" if -margin < low and high < margin else "no" if low > margin or high < -margin else "not decided"
    return Decision(answer, estimate.mean, estimate)


def _unfinished(groups: Sequence[Differences]) -> Decision:
    return Decision("not finished", mean_so_far(groups) if any(group.values for group in groups) else None)


def _mean_and_error(values: Sequence[float]) -> tuple[float, float]:
    if len(values) < 2:
        raise ValueError(f"an interval over seeds needs two or more, not {len(values)}")
    return float(np.mean(values)), float(np.std(values, ddof=1)) / math.sqrt(len(values))


def _quantile(freedom: int, level: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, (1 + level) / 2))


def _two_sided(mean: float, error: float, freedom: int) -> float:
    from scipy.special import stdtr

    if error == 0:
        return 1.0 if mean == 0 else 0.0
    return 2 * float(stdtr(freedom, -abs(mean) / error))
