"""Predict with the snapshots of a run, after comparing their files with their sha256."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import nn

from snapshot_cli.config.experiment import Run
from snapshot_cli.config.study import Split
from snapshot_cli.datasets.batches import Feed
from snapshot_cli.errors import Stopped
from snapshot_cli.run_directory import RunDirectory
from snapshot_cli.training.checkpoint import load_weights
from snapshot_cli.training.predict import predict
from snapshot_cli.training.ranks import Ranks


def splits(run: Run) -> list[Split]:
    """Return the splits that a run predicts: test and, if images are withheld, holdout."""
    return ["test", "holdout"] if run.holdout else ["test"]


def store(
    run: Run,
    directory: RunDirectory,
    network: nn.Module,
    batches: Mapping[str, Feed],
    digests: Sequence[str],
    *,
    stop: Callable[[], bool] = lambda: False,
    ranks: Ranks,
) -> None:
    """Store the logits of every snapshot and the labels; `digests` are the sha256 of the snapshots' files.

    Raises Stopped if `stop()` is true on any rank.
    """
    for split in splits(run):
        numbers = range(1, run.snapshots + 1)
        predicted = of_snapshots(numbers, directory, network, batches[split], digests, stop=stop, ranks=ranks)
        for snapshot, logits in enumerate(predicted, start=1):
            if ranks.first:
                directory.write_predictions(split, snapshot, logits)
        if ranks.first:
            directory.write_labels(split, batches[split].labels.cpu().numpy())


def of_snapshots(
    snapshots: Sequence[int],
    directory: RunDirectory,
    network: nn.Module,
    batches: Feed,
    digests: Sequence[str] | None = None,
    *,
    stop: Callable[[], bool] = lambda: False,
    ranks: Ranks,
) -> Iterator[np.ndarray]:
    """Yield the logits (examples, classes) of snapshots, checked against `digests` or else the run's manifest.

    Every rank predicts its share of the images and gets the logits of all. Raises UserError for weights that the run
    did not write, and Stopped if `stop()` is true on any rank.
    """
    rows = np.arange(batches.examples)[ranks.share]
    share = batches if ranks.count == 1 else batches.at(torch.from_numpy(rows))
    fewest = batches.examples // ranks.count

    def check_stop(done: int) -> None:
        if done < fewest and ranks.any_rank(stop())[0]:  # later, some ranks may have no batch left
            raise Stopped(f"{directory.run.run_id}: stopped while predicting; type the same command to resume")

    for snapshot in snapshots:
        load_weights(directory, snapshot, network, digests[snapshot - 1] if digests else None)
        yield _gathered(predict(network, share, check_stop), rows, batches.examples, ranks)


def _gathered(logits: np.ndarray, rows: np.ndarray, examples: int, ranks: Ranks) -> np.ndarray:
    """Return the logits of all images, given those of this rank's rows."""
    if ranks.count == 1:
        return logits
    padded = np.zeros((examples, logits.shape[1]), logits.dtype)
    padded[rows] = logits
    return ranks.sum(torch.from_numpy(padded)).numpy()
