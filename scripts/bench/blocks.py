"""Blocks of work by turns, their times, and medians with an interval that assumes nothing of the distribution."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Time:
    """Hold what a block took: seconds on the wall and seconds of all cores of this process."""

    wall: float
    cpu: float

    def __add__(self, other: Time) -> Time:
        return Time(self.wall + other.wall, self.cpu + other.cpu)

    def times(self, factor: float) -> Time:
        """Return the time of `factor` such blocks."""
        return Time(self.wall * factor, self.cpu * factor)


@dataclass(frozen=True)
class Estimate:
    """Hold a median and the interval around it."""

    median: float
    low: float
    high: float


def now() -> Time:
    """Return the clocks, once a GPU has done what it was given."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return Time(time.perf_counter(), time.process_time())


def timed(work: Callable[[], object]) -> Time:
    """Return what a piece of work takes."""
    start = now()
    work()
    end = now()
    return Time(end.wall - start.wall, end.cpu - start.cpu)


def by_turns(work: Mapping[str, Callable[[], Time]], *, blocks: int) -> dict[str, list[Time]]:
    """Do a block of each kind, `blocks` times over, each time beginning with the next one; a first round is dropped."""
    names, times = list(work), {name: list[Time]() for name in work}
    for block in range(-1, blocks):
        for name in names[block % len(names) :] + names[: block % len(names)]:
            found = work[name]()
            if block >= 0:
                times[name].append(found)
    return times


def estimate(values: Sequence[float]) -> Estimate:
    """Return the median and the order statistics that enclose that of the distribution with at least 95 %.

    Where there are fewer than six values they enclose it with less, and are the smallest and the largest.
    """
    ordered, outside = sorted(values), _outside(len(values))
    return Estimate(statistics.median(ordered), ordered[outside], ordered[-1 - outside])


def _outside(count: int) -> int:
    """Return how many of the smallest values, and of the largest, may be left out: binomial tails of 2.5 % each."""
    tail, left_out = 0.0, 0
    for k in range(count // 2):
        tail += math.comb(count, k) / 2**count
        if tail > 0.025:
            break
        left_out = k
    return left_out


def ratio(numerator: Sequence[float], denominator: Sequence[float]) -> Estimate:
    """Return the estimate of a ratio from the ratios of blocks that were done side by side."""
    return estimate([a / b for a, b in zip(numerator, denominator, strict=True)])
