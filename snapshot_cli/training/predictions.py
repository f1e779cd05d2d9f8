"""The predictions of a run's snapshots, each from weights that are what the run wrote."""

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
    """Return the splits that a run predicts: test and, where images are withheld, holdout."""
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
    """Store the logits of every snapshot, whose files have the sha256 `digests`, and the labels.

    Raises Stopped when `stop` says so on any rank.
    """
    for split in splits(run):
        numbers = range(1, run.snapshots + 1)
        found = of_snapshots(numbers, directory, network, batches[split], digests, stop=stop, ranks=ranks)
        for snapshot, logits in enumerate(found, start=1):
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
    """Yield the logits (examples, classes) of some snapshots; without digests those of a finished run's manifest hold.

    Each rank computes those of its share of the images, and all have all of them. Raises UserError for weights that are
    not what the run wrote, and Stopped when `stop` says so on any rank.
    """
    rows = np.arange(batches.examples)[ranks.share]
    own = batches if ranks.count == 1 else batches.at(torch.from_numpy(rows))
    fewest = batches.examples // ranks.count

    def ask(done: int) -> None:
        if done < fewest and ranks.agree(stop())[0]:  # beyond, some ranks may have no batch left, and would not answer
            raise Stopped(f"{directory.run.run_id}: stopped while predicting; type the same command to resume")

    for snapshot in snapshots:
        load_weights(directory, snapshot, network, digests[snapshot - 1] if digests else None)
        yield _gathered(predict(network, own, ask), rows, batches.examples, ranks)


def _gathered(logits: np.ndarray, rows: np.ndarray, examples: int, ranks: Ranks) -> np.ndarray:
    """Return the logits of all images from those that each rank has of some rows."""
    if ranks.count == 1:
        return logits
    found = np.zeros((examples, logits.shape[1]), logits.dtype)
    found[rows] = logits
    return ranks.sum(torch.from_numpy(found)).numpy()
