"""The order in which an epoch visits the images."""

from __future__ import annotations

import torch

from snapshot_cli.randomness import generator


def epoch_order(examples: int, seed: int, epoch: int) -> torch.Tensor:
    """Return a permutation of the rows of a split (examples,), on the CPU, that depends only on seed and epoch."""
    return torch.randperm(examples, generator=generator(seed, "order", epoch))
