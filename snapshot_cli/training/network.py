"""The network of a run: as the run describes it, and as it is trained."""

from __future__ import annotations

import torch
from torch import nn

from snapshot_cli.config.experiment import Run
from snapshot_cli.datasets.manifest import Manifest
from snapshot_cli.networks import build


def of_run(run: Run, *, classes: int, side: int) -> nn.Module:
    """Return the network that a run describes, for square images of a side in pixels; freshly initialised."""
    return build(run.network, classes, side, run.dropout, stochastic_depth=run.stochastic_depth)


def in_training(run: Run, manifest: Manifest, device: torch.device) -> nn.Module:
    """Return the network that a run trains on a dataset, on a device and in the memory format channels_last.

    Measured: a training step on one thread (batch 64, sides 8 to 32) is that many times as fast as in the contiguous
    format: resnet 1.0 to 1.3, wide-resnet with K = 2 to 4 1.05 to 1.2, densenet 1.3 to 1.4, imagenet-resnet (batch 16,
    side 64) 1.1.
    """
    network = of_run(run, classes=len(manifest.classes), side=manifest.size)
    return network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]
