"""Time blocks of work that alternate; medians with intervals that assume no distribution."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Time:
    """The time of a block: wall-clock seconds, and CPU seconds of this process."""

    wall: float
    cpu: float

    def __add__(self, other: Time) -> Time:
        return Time(self.wall + other.wall, self.cpu + other.cpu)

    def times(self, factor: float) -> Time:
        """Return the time of `factor` such blocks."""
        return Time(self.wall * factor, self.cpu * factor)


@dataclass(frozen=True)
class Estimate:
    """A median and its interval."""

    median: float
    low: float
    high: float


def now() -> Time:
    """Return both clocks, after the GPU has finished its work."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return Time(time.perf_counter(), time.process_time())


def timed(work: Callable[[], object]) -> Time:
    """Return the time of a piece of work."""
    start = now()
    work()
    end = now()
    return Time(end.wall - start.wall, end.cpu - start.cpu)


def by_turns(work: Mapping[str, Callable[[], Time]], *, blocks: int) -> dict[str, list[Time]]:
    """Run `blocks` rounds of a block of each kind, each round starting with the next kind; drop the first round."""
    names, times = list(work), {name: list[Time]() for name in work}
    for block in range(-1, blocks):
        for name in names[block % len(names) :] + names[: block % len(names)]:
            duration = work[name]()
            if block >= 0:
                times[name].append(duration)
    return times


def estimate(values: Sequence[float]) -> Estimate:
    """Return the median and an interval of order statistics that covers the true median with at least 95 %.

    With fewer than six values, it is from the smallest to the largest and covers it with less.
    """
    ordered, outside = sorted(values), _outside(len(values))
    return Estimate(statistics.median(ordered), ordered[outside], ordered[-1 - outside])


def _outside(count: int) -> int:
    """Return how many of the smallest, and of the largest, values lie outside the interval: tails of 2.5 % each."""
    tail, left_out = 0.0, 0
    for k in range(count // 2):
        tail += math.comb(count, k) / 2**count
        if tail > 0.025:
            break
        left_out = k
    return left_out


def ratio(numerator: Sequence[float], denominator: Sequence[float]) -> Estimate:
    """Estimate a ratio from the ratios of blocks of the same round."""
    return estimate([a / b for a, b in zip(numerator, denominator, strict=True)])
