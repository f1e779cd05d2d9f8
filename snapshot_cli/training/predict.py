"""A network and images to logits."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from snapshot_cli.datasets.batches import Feed

BATCH_SIZES = {"cpu": 64, "cuda": 512}  # on a CPU maps of more images leave the cache


def predict(network: nn.Module, batches: Feed, before: Callable[[int], None] = lambda done: None) -> np.ndarray:
    """Return the logits of all images in order, float32 (examples, classes), with the network in evaluation mode.

    `before` is told before every batch how many images are done, and may raise what ends it.
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
