"""Errors on the lines from earlier snapshots to the last (Figure 5), with three choices of batch-norm statistics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm as BatchNorm

from snapshot_cli.config.experiment import Run
from snapshot_cli.config.machine import Machine
from snapshot_cli.datasets.batches import Feed, build_feeds
from snapshot_cli.datasets.store import Dataset
from snapshot_cli.errors import Stopped
from snapshot_cli.randomness import generator
from snapshot_cli.run_directory import RunDirectory
from snapshot_cli.training import checkpoint, hardware
from snapshot_cli.training.network import build_for_training
from snapshot_cli.training.predict import predict

LAMBDAS = tuple(k / 10 for k in range(11))
IMAGES = 5000  # training images to estimate batch-norm statistics on
BATCH_SIZE = 512  # for these images; the estimate depends on it

STATISTICS = ("running_mean", "running_var")

State = dict[str, Tensor]


def interpolate(
    run: Run,
    dataset: Dataset,
    directory: RunDirectory,
    machine: Machine,
    *,
    stop: Callable[[], bool] = lambda: False,
) -> None:
    """Store a finished run's test errors at lambda theta_last + (1 - lambda) theta_k, for every earlier snapshot k.

    Batch-norm statistics are "reestimated" at every point on a fixed subset of the training images, "final" as in the
    last snapshot (Torch's flat parameter vector does that), or "mixed" like the weights, so that both ends of the line
    are the snapshots' errors. Without batch norm all three are equal.

    Raises UserError if weights were not kept, and Stopped, with nothing stored, if `stop()` is true.
    """
    device = hardware.choose(machine.device)
    network = build_for_training(run, dataset.manifest, device)
    batches = build_feeds(run, dataset, device=device, workers=machine.workers or 0, stop=stop)
    images = _subset(batches["train"], seed=run.split_seed)
    rows = []
    for row in _points(network, run, directory, images=images, test=batches["test"]):
        rows.append(row)
        if stop():
            raise Stopped(f"{run.run_id}: stopped during interpolation; type the same command to start it again")
    directory.write_interpolation(rows)


def mixed(earlier: State, last: State, weight: float, names: Iterable[str]) -> State:
    """Return weight * last + (1 - weight) * earlier for the named tensors, and the others of `last`."""
    return last | {name: weight * last[name] + (1 - weight) * earlier[name] for name in names}


def reestimate(network: nn.Module, images: Feed) -> None:
    """Set all batch-norm statistics to the means over batches of images, weighted by their size; dropout stays off."""
    norms = _norms(network)
    momenta = [norm.momentum for norm in norms]
    network.eval()
    seen, size = 0, BATCH_SIZE
    if images.examples % size == 1 and images.examples > 1:  # a last batch of one image may have no variance
        size += 1
    with torch.inference_mode():
        for batch, labels in images.evaluation(size):
            seen += len(labels)
            for norm in norms:
                norm.train()
                norm.momentum = len(labels) / seen
            network(batch)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.eval()


def _points(
    network: nn.Module, run: Run, directory: RunDirectory, *, images: Feed, test: Feed
) -> Iterator[dict[str, float | str]]:
    """Yield the rows of interpolation.csv; all lines share lambda = 1, the last snapshot."""
    last = _state(network, directory, run.snapshots)
    ends = _errors(network, last, last, images=images, test=test)
    parameters = [name for name, _ in network.named_parameters(remove_duplicate=False)]
    both = [*parameters, *(name for name in last if name.endswith(STATISTICS))]
    for snapshot in range(1, run.snapshots):
        earlier = _state(network, directory, snapshot)
        for weight in LAMBDAS:
            with_final, with_mixed = (mixed(earlier, last, weight, names) for names in (parameters, both))
            errors = ends if weight == 1 else _errors(network, with_final, with_mixed, images=images, test=test)
            for statistics, error in errors.items():
                yield {"snapshot": snapshot, "lambda": weight, "statistics": statistics, "test_error": error}


def _errors(network: nn.Module, with_final: State, with_mixed: State, *, images: Feed, test: Feed) -> dict[str, float]:
    """Return the test error in percent for every choice of batch-norm statistics."""
    network.load_state_dict(with_final)
    final_error = _error(network, test)
    if not _norms(network):
        return dict.fromkeys(("mixed", "final", "reestimated"), final_error)
    network.load_state_dict(with_mixed)
    mixed_error = _error(network, test)
    network.load_state_dict(with_final)
    reestimate(network, images)
    return {"mixed": mixed_error, "final": final_error, "reestimated": _error(network, test)}


def _norms(network: nn.Module) -> list[BatchNorm]:
    """Return the batch norms with running statistics."""
    return [module for module in network.modules() if isinstance(module, BatchNorm) and module.track_running_stats]


def _state(network: nn.Module, directory: RunDirectory, snapshot: int) -> State:
    checkpoint.load_weights(directory, snapshot, network)
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}


def _error(network: nn.Module, test: Feed) -> float:
    logits = predict(network, test)
    return 100 * float((logits.argmax(1) != test.labels.cpu().numpy()).mean())


def _subset(batches: Feed, *, seed: int) -> Feed:
    """Return at most `IMAGES` random images, chosen by a seed."""
    order = torch.randperm(batches.examples, generator=generator(seed, "statistics"))
    return batches.at(order[:IMAGES])
