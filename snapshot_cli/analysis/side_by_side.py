"""Work on large arrays by several threads at once, which NumPy lets go on side by side while it computes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from snapshot_cli.config.machine import processors

Item = TypeVar("Item")
Result = TypeVar("Result")

MOST = 4  # threads, since each holds the predictions of an ensemble


def side_by_side(work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Return what work gives for each item, in order; the first error of one is raised."""
    with ThreadPoolExecutor(min(MOST, processors())) as pool:
        return list(pool.map(work, items))
