"""The snapshots of finished runs that make up an ensemble, and the dataset that all of them were trained on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from snapshot_cli.datasets.catalogue import how_to_prepare
from snapshot_cli.datasets.manifest import Manifest, read_manifest
from snapshot_cli.errors import ConfigError, UserError, other_dataset, other_images, unfinished_run
from snapshot_cli.run_directory import RunDirectory

Snapshot = tuple[RunDirectory, int]
"""A run's directory and the number of a snapshot, from 1."""


def all_snapshots(directories: Sequence[RunDirectory]) -> list[Snapshot]:
    """Return every snapshot of some runs, in order; UserError for a run that is not finished."""
    for directory in directories:
        if directory.run and directory.status != "done":
            raise unfinished_run(directory.path)
    return [(each, snapshot) for each in directories for snapshot in range(1, each.run.snapshots + 1)]


def last(snapshots: Sequence[Snapshot], m: int | None) -> list[Snapshot]:
    """Return the last m snapshots, all of them for None; ConfigError where there are fewer."""
    if m is not None and m > len(snapshots):
        raise ConfigError(f"--last {m}: expected at most {len(snapshots)}, the snapshots that there are")
    return list(snapshots[-m:] if m else snapshots)


def manifest(snapshots: Sequence[Snapshot], data: Path) -> Manifest:
    """Return the prepared dataset that the snapshots were trained on.

    Raises UserError where it is not prepared, where its images are not those that a run was trained on, and where runs
    were trained on different datasets.
    """
    first = snapshots[0][0]
    name = first.run.dataset
    found = read_manifest(data, name)
    if found is None:
        raise UserError(f"dataset '{name}' is not prepared in {data}; type: {how_to_prepare(name)}")
    for directory in dict.fromkeys(directory for directory, _ in snapshots):
        if directory.run.dataset != name:
            raise other_dataset(directory.path, directory.run.dataset, first.path, name)
        if directory.summary.get("dataset_hash") != found.content_hash:
            raise other_images(directory.path, name)
    return found
