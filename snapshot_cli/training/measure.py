"""What a training takes: parameters and bytes counted without running it, seconds measured on a few iterations."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from snapshot_cli.config.experiment import Run
from snapshot_cli.config.machine import Machine
from snapshot_cli.datasets.store import Dataset, Manifest
from snapshot_cli.run_directory import RunDirectory
from snapshot_cli.training import loop
from snapshot_cli.training.network import without_content

WARM_UP = 2  # iterations that are not counted: allocations, and the choice of kernels


@dataclass(frozen=True)
class Size:
    """The parameters of a network, and bytes: of its weights with batch norm's statistics, and of one iteration."""

    parameters: int
    weights: int
    activations: int
    """What the forward pass of a batch keeps for the backward pass, in float32."""


def size(run: Run, *, classes: int, image_size: int, device: torch.device) -> Size:
    """Count what a run's network is made of and what a batch keeps, on tensors that have shapes and no content."""
    # Autocast does nothing to tensors without content, but dense blocks go layer by layer under it, as on a GPU.
    layerwise = torch.autocast("cpu", enabled=device.type != "cpu" or run.precision == "bfloat16")
    network = without_content(run, classes=classes, side=image_size)
    with torch.device("meta"):
        images = torch.empty(run.batch_size, 3, image_size, image_size)
        labels = torch.empty(run.batch_size, dtype=torch.int64)
    state = network.state_dict().values()
    own = {tensor.untyped_storage()._cdata for tensor in state}
    kept: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage._cdata] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor), layerwise:
        loss = cross_entropy(network(images), labels)
    del loss
    return Size(
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        weights=sum(tensor.nbytes for tensor in state),
        activations=sum(storage.nbytes() for key, storage in kept.items() if key not in own),
    )


def seconds_per_iteration(run: Run, manifest: Manifest, machine: Machine, *, steps: int) -> float:
    """Return the median time of `steps` iterations of a run, made as in training, on images of noise."""
    examples = run.batch_size * (steps + WARM_UP)
    noise = _noise(manifest, examples)
    measured = run.model_copy(update={"train_size": None, "holdout": 0})
    training = loop.prepare(measured, noise, RunDirectory(Path("nowhere")), machine)
    training.network.train()
    taken, before = [], time.perf_counter()
    for images, labels in training.batches["train"].training(run.seed, 0, batch_size=run.batch_size):
        loop.step(training, images, labels, 0.0)  # a rate of 0, so that noise cannot diverge
        if training.device.type == "cuda":
            torch.cuda.synchronize(training.device)
        now = time.perf_counter()
        taken.append(now - before)
        before = now
    return statistics.median(taken[WARM_UP:])


def _noise(manifest: Manifest, examples: int) -> Dataset:
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (examples, manifest.size, manifest.size, 3), dtype=np.uint8)
    labels = draw.integers(0, len(manifest.classes), examples)
    return Dataset(replace(manifest, train=examples, test=1), images, labels, images[:1], labels[:1])
