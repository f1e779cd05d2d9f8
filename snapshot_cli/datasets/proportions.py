"""Share examples among classes in proportion to the sizes of the classes."""

from __future__ import annotations

from collections.abc import Sequence

from snapshot_cli.errors import UserError


def shares(counts: Sequence[int], examples: int) -> list[int]:
    """Divide `examples` among classes in proportion to their counts; the largest remainders round up."""
    total = sum(counts)
    shared = [count * examples // total for count in counts]
    by_remainder = sorted(range(len(counts)), key=lambda label: -(counts[label] * examples % total))
    for label in by_remainder[: examples - sum(shared)]:
        shared[label] += 1
    return shared


def withheld(counts: Sequence[int], examples: int) -> list[int]:
    """Return how many examples of every class to withhold; every class keeps one, or UserError."""
    most = sum(max(0, count - 1) for count in counts)
    if examples > most:
        raise UserError(
            f"holdout: {examples:,} of {sum(counts):,} training images leaves a class without any; expected at most"
            f" {most:,}"
        )
    shared = shares(counts, examples)
    for label, count in enumerate(counts):
        if count and shared[label] == count:
            shared[label] -= 1
            largest = max(range(len(counts)), key=lambda other: counts[other] - shared[other])
            shared[largest] += 1
    return shared
