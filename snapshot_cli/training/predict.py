"""Compute the logits of a network."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from snapshot_cli.datasets.batches import Feed

BATCH_SIZES = {"cpu": 64, "cuda": 512}  # on a CPU, feature maps of more images do not fit into the cache


def predict(network: nn.Module, batches: Feed, before: Callable[[int], None] = lambda done: None) -> np.ndarray:
    """Return the logits of all images in order, float32 (examples, classes), with the network in evaluation mode.

    `before` is called before every batch with the number of images done; it may raise to stop.
    """
    training = network.training
    network.eval()
    size = BATCH_SIZES[batches.labels.device.type]
    with torch.inference_mode():
        logits, done = [], 0
        for images, labels in batches.evaluation(size):
            before(done)
            logits.append(network(images))
            done += len(labels)
    network.train(training)
    return torch.cat(logits).float().cpu().numpy()
