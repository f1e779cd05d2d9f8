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


def numbers(text: str, count: int) -> list[int]:
    """Return the members, from 1, that all, last:M or numbers such as 1,3,5 name of `count`; ConfigError for another.

    A number that is there twice counts twice.
    """
    rule, _, size = text.partition(":")
    if text == "all":
        return list(range(1, count + 1))
    chosen = [size] if rule == "last" else text.split(",")
    if not all(each.isascii() and each.isdigit() for each in chosen):
        raise ConfigError(f"--members {text}: expected all, last:M, chosen, or numbers such as 1,3,5")
    if not all(1 <= int(each) <= count for each in chosen):
        raise ConfigError(f"--members {text}: expected numbers from 1 to {count}, the snapshots that there are")
    return list(range(count - int(size) + 1, count + 1)) if rule == "last" else [int(each) for each in chosen]


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
