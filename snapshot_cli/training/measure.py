"""Count the parameters and bytes of a training without running it, and time a few steps."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from snapshot_cli.config.experiment import Precision, Run
from snapshot_cli.config.machine import Machine
from snapshot_cli.datasets.store import Dataset, Manifest
from snapshot_cli.run_directory import RunDirectory
from snapshot_cli.training import loop
from snapshot_cli.training.network import build_on_meta

PRECISIONS = get_args(Precision)
WARM_UP = 2  # uncounted steps, which allocate memory and choose kernels


@dataclass(frozen=True)
class Size:
    """The parameters of a network, and bytes: of weights with batch-norm statistics, and of a step's activations."""

    parameters: int
    weights: int
    activations: int
    """What the forward pass of a batch stores for the backward pass, in the run's precision."""


def size(run: Run, *, classes: int, image_size: int, device: torch.device) -> Size:
    """Count parameters, weights and activations on tensors without content; the device need not exist."""
    kept: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage._cdata] = storage
        return tensor

    network = build_on_meta(run, classes=classes, side=image_size)
    state, tensors = network.state_dict(), dict(chain(network.named_parameters(), network.named_buffers()))
    with FakeTensorMode(allow_non_fake_inputs=True), torch.device(device.type):
        images = torch.empty(run.batch_size, 3, image_size, image_size)
        labels = torch.empty(run.batch_size, dtype=torch.int64)
        weights = {
            name: torch.empty(tensor.shape, dtype=tensor.dtype, requires_grad=tensor.requires_grad)
            for name, tensor in tensors.items()
        }
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor), _autocast(run, device):
            loss = cross_entropy(functional_call(network, weights, images), labels)
        del loss
    weight_storages = {tensor.untyped_storage()._cdata for tensor in weights.values()}
    return Size(
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        weights=sum(tensor.nbytes for tensor in state.values()),
        activations=sum(storage.nbytes() for key, storage in kept.items() if key not in weight_storages),
    )


@contextmanager
def _autocast(run: Run, device: torch.device) -> Iterator[None]:
    """Act as torch.autocast, which only warns for a device that does not exist."""
    before = torch.is_autocast_enabled(device.type)
    torch.set_autocast_enabled(device.type, run.precision == "bfloat16")
    torch.set_autocast_dtype(device.type, torch.bfloat16)
    try:
        yield
    finally:
        torch.set_autocast_enabled(device.type, before)
        torch.clear_autocast_cache()


def seconds_per_step(run: Run, manifest: Manifest, machine: Machine, *, steps: int) -> dict[Precision, float]:
    """Return the median seconds of a step in both precisions, from `steps` alternating steps on noise."""
    alternating = zip(*(_times(run, precision, manifest, machine, steps) for precision in PRECISIONS), strict=True)
    counted = zip(*list(alternating)[WARM_UP:], strict=True)
    return {precision: statistics.median(taken) for precision, taken in zip(PRECISIONS, counted, strict=True)}


def _times(run: Run, precision: Precision, manifest: Manifest, machine: Machine, steps: int) -> Iterator[float]:
    """Yield the seconds of one training step after another."""
    noise = _noise(manifest, run.batch_size * (steps + WARM_UP))
    changes = {"train_size": None, "holdout": 0, "precision": precision, "cycles": 1, "cycle": None}
    measured = run.model_copy(update=changes)
    training = loop.prepare(measured, noise, RunDirectory(Path("nowhere")), machine)
    training.network.train()
    batches = training.batches["train"].training(run.seed, 0, batch_size=run.batch_size)
    for _ in range(steps + WARM_UP):
        start = time.perf_counter()
        images, labels = next(batches)
        loop.step(training, images, labels, 0.0)  # learning rate 0: noise cannot diverge
        if training.device.type == "cuda":
            torch.cuda.synchronize(training.device)
        yield time.perf_counter() - start


def _noise(manifest: Manifest, examples: int) -> Dataset:
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (examples, manifest.size, manifest.size, 3), dtype=np.uint8)
    labels = draw.integers(0, len(manifest.classes), examples)
    return Dataset(replace(manifest, train=examples, test=1), images, labels, images[:1], labels[:1])
