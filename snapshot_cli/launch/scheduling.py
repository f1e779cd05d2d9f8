"""Schedule runs by their cost: lists of nearly equal cost, and the duration of a schedule."""

from __future__ import annotations

import heapq
import re
from collections.abc import Mapping, Sequence
from typing import TypeVar

from snapshot_cli.errors import ConfigError

Item = TypeVar("Item")


def longest_first(costs: Mapping[Item, float]) -> list[Item]:
    """Return the items by cost, highest first; equal ones in the given order."""
    return sorted(costs, key=lambda item: -costs[item])


def shares(costs: Mapping[Item, float], count: int) -> list[list[Item]]:
    """Return `count` lists of nearly equal cost, in the order of `longest_first`.

    Greedy: the most costly remaining item goes to the cheapest list so far. The most costly list costs at most 4/3 of
    the optimum (Graham 1969).
    """
    lists: list[list[Item]] = [[] for _ in range(count)]
    cheapest = [(0.0, number) for number in range(count)]
    for item in longest_first(costs):
        cost, number = heapq.heappop(cheapest)
        lists[number].append(item)
        heapq.heappush(cheapest, (cost + costs[item], number))
    return lists


def makespan(durations: Sequence[float], workers: int) -> float:
    """Return the end time of the last job if the first free worker always starts the next one."""
    free = [0.0] * workers
    for duration in durations:
        heapq.heapreplace(free, free[0] + duration)
    return max(free)


def parse_shard(text: str) -> tuple[int, int]:
    """Return i and n of "i/n"; ConfigError unless 1 <= i <= n."""
    match = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise ConfigError(f"--shard {text}: expected i/n with i from 1 to n, such as 1/8")
    return int(match[1]), int(match[2])
