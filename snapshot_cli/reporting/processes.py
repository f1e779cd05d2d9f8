"""What a table says where its runs were trained in differing numbers of processes, each with a part of every batch."""

from __future__ import annotations

from collections.abc import Sequence

from snapshot_cli.reporting.entries import Entry
from snapshot_cli.run_directory import RunDirectory


def counts(directory: RunDirectory) -> tuple[int, ...]:
    """Return in how many processes a run was trained: the first number, and each to which it changed."""
    first, *later = directory.places
    return (first.get("ranks", 1), *(place["ranks"] for place in later if "ranks" in place))


def notes(entries: Sequence[Entry]) -> list[str]:
    """Return a sentence where the runs of a table differ in their numbers of processes, else nothing."""
    trained = {entry: [each for scored in entry.scored for each in scored.directories] for entry in entries}
    if len({counts(each) for directories in trained.values() for each in directories}) < 2:
        return []
    listed = [
        f"{entry.method}, {entry.group}: {' and '.join(dict.fromkeys(map(_words, directories)))}"
        for entry, directories in trained.items()
        if directories
    ]
    return [
        "Trained in differing numbers of processes, of which each has batch norm over its own images alone. "
        f"{'; '.join(listed)}."
    ]


def _words(directory: RunDirectory) -> str:
    size = directory.run.batch_size
    return ", then ".join(f"{count} with {size / count:g} images" for count in counts(directory))
