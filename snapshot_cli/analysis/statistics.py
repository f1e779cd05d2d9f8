"""Statistics of error differences: tests, intervals, and the rule that judges a family of claims."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from statistics import fmean
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Answer = Literal["yes", "no", "not decided", "not finished", "these weights only"]
Correct = NDArray[np.bool_]

ALPHA = 0.05
"""The family-wise error rate: the highest probability that a family without any true difference has a yes or no."""
MIN_SEEDS = 3
"""The minimum number of replicates for a verdict."""


def discordant(correct_a: Correct, correct_b: Correct) -> tuple[int, int]:
    """Return the number of examples that only the first network gets right, and that only the second gets right.

    Raises ValueError if the lengths differ.
    """
    a, b = np.asarray(correct_a, dtype=bool), np.asarray(correct_b, dtype=bool)
    if a.shape != b.shape:
        raise ValueError(f"{len(a)} and {len(b)} examples cannot be paired")
    return int(np.count_nonzero(a & ~b)), int(np.count_nonzero(b & ~a))


def mcnemar(correct_a: Correct, correct_b: Correct) -> float:
    """Return the two-sided exact McNemar p-value of two networks on the same examples; 1 without discordant ones."""
    from scipy.special import bdtr

    only_a, only_b = discordant(correct_a, correct_b)
    if only_a + only_b == 0:
        return 1.0
    return min(1.0, 2 * float(bdtr(min(only_a, only_b), only_a + only_b, 0.5)))


def holm(p_values: Sequence[float], family: int) -> list[float]:
    """Return Holm's step-down adjusted p-values, in the order given; NaN counts as 1.

    `family` is the number of planned tests, including those without a p-value yet.
    """
    adjusted = [1.0] * len(p_values)
    highest = 0.0
    tested = [index for index, p in enumerate(p_values) if not math.isnan(p)]
    for rank, index in enumerate(sorted(tested, key=lambda i: p_values[i])):
        highest = max(highest, min(1.0, (family - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def means(values: Sequence[Sequence[float]]) -> list[float]:
    """Return the mean over replicates of values (replicates, points) at every point."""
    return [fmean(column) for column in zip(*values, strict=True)]


def half_width(values: Sequence[float]) -> float | None:
    """Return the half-width of the 95 % t interval of the mean over replicates; None for a single one."""
    if len(values) == 1:
        return None
    return _t_quantile(len(values) - 1) * float(np.std(values, ddof=1)) / math.sqrt(len(values))


@dataclass(frozen=True)
class Differences:
    """The differences between two experiments: one for every finished replicate, out of `planned`.

    `image_variances` holds the variance of every difference from the finite test set alone, in squared units; 0 for
    quantities that are not counts of images.
    """

    values: tuple[float, ...]
    image_variances: tuple[float, ...]
    planned: int

    @property
    def is_complete(self) -> bool:
        """Whether all planned replicates are finished."""
        return len(self.values) == self.planned

    @property
    def is_ready(self) -> bool:
        """Whether the claim can be judged: complete, with enough replicates."""
        return self.is_complete and self.planned >= MIN_SEEDS


def average(correlated: Sequence[Differences]) -> Differences:
    """Return the mean difference of every replicate over groups that share seeds and images.

    Such groups are no independent evidence: neither the variance nor the degrees of freedom may gain from their number.
    Unless all groups are complete, the result is not either, and has the differences one by one.
    """
    planned = [group.planned for group in correlated]
    values, variances = ([getattr(group, name) for group in correlated] for name in ("values", "image_variances"))
    if not all(group.is_complete for group in correlated):
        return Differences(tuple(chain(*values)), tuple(chain(*variances)), sum(planned))
    by_replicate, of_images = (tuple(map(fmean, zip(*columns, strict=False))) for columns in (values, variances))
    return Differences(by_replicate, of_images, min(planned))


@dataclass(frozen=True)
class Estimate:
    """The mean difference, averaged over groups, with its 95 % interval and the two-sided p-value against 0."""

    mean: float
    interval: tuple[float, float]
    p: float


def pool(groups: Sequence[Differences]) -> Estimate:
    """Estimate one difference from several groups, such as networks, with at least two replicates in each.

    The variance of a difference is pooled over the groups: sum((R - 1) s^2) / sum(R - 1). It is never below the
    variance from the discordant images. The t distribution has sum(R - 1) degrees of freedom.
    """
    dof = sum(len(group.values) - 1 for group in groups)
    sum_of_squares = sum(float(np.var(group.values)) * len(group.values) for group in groups)
    floor = fmean(fmean(group.image_variances) for group in groups)
    variance = max(sum_of_squares / dof, floor)
    std_error = math.sqrt(sum(variance / len(group.values) for group in groups)) / len(groups)
    difference = mean_so_far(groups)
    margin = _t_quantile(dof) * std_error
    return Estimate(difference, (difference - margin, difference + margin), _two_sided_p(difference, std_error, dof))


def mean_so_far(groups: Sequence[Differences]) -> float:
    """Return the mean of the groups' mean differences, ignoring groups without finished replicates."""
    return fmean(fmean(group.values) for group in groups if group.values)


@dataclass(frozen=True)
class Decision:
    """An answer and the mean so far; judged claims also have the estimate and Holm's p-value."""

    answer: Answer
    mean: float | None
    estimate: Estimate | None = None
    p: float | None = None


def judge(family: Sequence[Sequence[Differences]]) -> list[Decision]:
    """Judge the claims of a family; differences above 0 support a claim.

    A claim has one or more groups, all with at least three planned replicates, and is judged once all groups are ready.
    Holm's correction covers all claims of the family, including unfinished ones.
    """
    estimates = [pool(groups) if all(group.is_ready for group in groups) else None for groups in family]
    adjusted = iter(holm([estimate.p for estimate in estimates if estimate], len(family)))
    return [
        _unfinished(groups) if estimate is None else _decision(estimate, next(adjusted))
        for groups, estimate in zip(family, estimates, strict=True)
    ]


def _decision(estimate: Estimate, p: float) -> Decision:
    answer: Answer = "not decided" if p >= ALPHA else "yes" if estimate.mean > 0 else "no"
    return Decision(answer, estimate.mean, estimate, p)


def judge_alone(differences: Differences, *, margin: float | None = None) -> Decision:
    """Judge a claim outside any family by its 95 % interval: yes above 0, no below, otherwise not decided.

    With a margin the claim is equivalence: yes if the interval is within ±margin, no if it is outside.
    A single planned replicate gives "these weights only"; two replicates give "not decided".
    """
    if not differences.is_complete or not differences.values:
        return _unfinished([differences])
    if not differences.is_ready:
        answer: Answer = "these weights only" if differences.planned == 1 else "not decided"
        return Decision(answer, mean_so_far([differences]))
    estimate = pool([differences])
    low, high = estimate.interval
    if margin is None:
        answer = "yes" if low > 0 else "no" if high < 0 else "not decided"
    else:
        answer = "yes" if -margin < low and high < margin else "no" if low > margin or high < -margin else "not decided"
    return Decision(answer, estimate.mean, estimate)


def _unfinished(groups: Sequence[Differences]) -> Decision:
    return Decision("not finished", mean_so_far(groups) if any(group.values for group in groups) else None)


def _t_quantile(dof: int) -> float:
    """Return the two-sided 95 % quantile of the t distribution."""
    from scipy.special import stdtrit

    return float(stdtrit(dof, 1 - ALPHA / 2))


def _two_sided_p(mean: float, std_error: float, dof: int) -> float:
    from scipy.special import stdtr

    if std_error == 0:
        return 1.0 if mean == 0 else 0.0
    return 2 * float(stdtr(dof, -abs(mean) / std_error))
