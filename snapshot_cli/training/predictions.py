"""The predictions of a run's snapshots, each from weights that are what the run wrote."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from torch import nn

from snapshot_cli.config.experiment import Run
from snapshot_cli.datasets.batches import Feed
from snapshot_cli.run_directory import RunDirectory, Split
from snapshot_cli.training.checkpoint import load_weights
from snapshot_cli.training.predict import predict


def splits(run: Run) -> list[Split]:
    """Return the splits that a run predicts: test and, where images are withheld, holdout."""
    return ["test", "holdout"] if run.holdout else ["test"]


def store(
    run: Run, directory: RunDirectory, network: nn.Module, batches: Mapping[str, Feed], digests: Sequence[str]
) -> None:
    """Store the logits of every snapshot, whose files have the sha256 `digests`, and the labels."""
    for split in splits(run):
        numbers = range(1, run.snapshots + 1)
        for snapshot, logits in enumerate(of_snapshots(numbers, directory, network, batches[split], digests), start=1):
            directory.write_predictions(split, snapshot, logits)
        directory.write_labels(split, batches[split].labels.cpu().numpy())


def of_snapshots(
    snapshots: Sequence[int],
    directory: RunDirectory,
    network: nn.Module,
    batches: Feed,
    digests: Sequence[str] | None = None,
) -> Iterator[np.ndarray]:
    """Yield the logits (examples, classes) of some snapshots; without digests those of a finished run's manifest hold.

    Raises UserError for weights that are not what the run wrote.
    """
    for snapshot in snapshots:
        load_weights(directory, snapshot, network, digests[snapshot - 1] if digests else None)
        yield predict(network, batches)
