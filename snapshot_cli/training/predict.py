"""A network and images to logits."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from snapshot_cli.datasets.batches import Feed

BATCH_SIZES = {"cpu": 64, "cuda": 512}  # on a CPU maps of more images leave the cache


def predict(network: nn.Module, batches: Feed) -> np.ndarray:
    """Return the logits of all images in order, float32 (examples, classes), with the network in evaluation mode."""
    training = network.training
    network.eval()
    size = BATCH_SIZES[batches.labels.device.type]
    with torch.inference_mode():
        logits = torch.cat([network(images) for images, _ in batches.evaluation(size)])
    network.train(training)
    return logits.float().cpu().numpy()
