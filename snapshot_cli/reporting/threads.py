"""Threads for work on large arrays: NumPy lets others run while it computes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from snapshot_cli.config.machine import processors

Item = TypeVar("Item")
Result = TypeVar("Result")

MOST = 4  # threads, since each holds the predictions of an ensemble


def in_threads(work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Return what work gives for each item, in order; of errors the first item's is raised."""
    with ThreadPoolExecutor(min(MOST, processors())) as pool:
        return list(pool.map(work, items))
