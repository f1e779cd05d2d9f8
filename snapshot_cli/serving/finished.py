"""The snapshots of finished runs that form an ensemble, and the dataset they were trained on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from snapshot_cli.datasets.manifest import Manifest, require
from snapshot_cli.errors import ConfigError, other_dataset, other_images, unfinished_run
from snapshot_cli.run_directory import RunDirectory

Snapshot = tuple[RunDirectory, int]
"""A run directory and the number of a snapshot, from 1."""


def all_snapshots(directories: Sequence[RunDirectory]) -> list[Snapshot]:
    """Return every snapshot of some runs, in order; UserError for an unfinished run."""
    for directory in directories:
        if directory.run and directory.status != "done":
            raise unfinished_run(directory.path)
    return [(directory, snapshot) for directory in directories for snapshot in range(1, directory.run.snapshots + 1)]


def numbers(text: str, count: int) -> list[int]:
    """Return the numbers of members, from 1 to `count`, that all, last:M or 1,3,5 selects; ConfigError for other text.

    A repeated number counts twice.
    """
    rule, _, size = text.partition(":")
    if text == "all":
        return list(range(1, count + 1))
    chosen = [size] if rule == "last" else text.split(",")
    if not all(number.isascii() and number.isdigit() for number in chosen):
        raise ConfigError(f"--members {text}: expected all, last:M, chosen, or numbers such as 1,3,5")
    if not all(1 <= int(number) <= count for number in chosen):
        raise ConfigError(f"--members {text}: expected numbers from 1 to {count}, the number of snapshots")
    return list(range(count - int(size) + 1, count + 1)) if rule == "last" else [int(number) for number in chosen]


def read_dataset(snapshots: Sequence[Snapshot], data: Path) -> Manifest:
    """Return the manifest of the dataset that the snapshots were trained on.

    Raises UserError if it is not prepared, if a run was trained on other images, and if the datasets of runs differ.
    """
    first = snapshots[0][0]
    name = first.run.dataset
    manifest = require(data, name)
    for directory in dict.fromkeys(directory for directory, _ in snapshots):
        if directory.run.dataset != name:
            raise other_dataset(directory.path, directory.run.dataset, first.path, name)
        if directory.summary.get("dataset_hash") != manifest.content_hash:
            raise other_images(directory.path, name)
    return manifest
