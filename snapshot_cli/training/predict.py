"""A network and images to logits."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from snapshot_cli.datasets.batches import Feed

BATCH_SIZE = 512


def predict(network: nn.Module, batches: Feed) -> np.ndarray:
    """Return the logits of all images in order, float32 (examples, classes), with the network in evaluation mode."""
    training = network.training
    network.eval()
    with torch.inference_mode():
        logits = torch.cat([network(images) for images, _ in batches.evaluation(BATCH_SIZE)])
    network.train(training)
    return logits.float().cpu().numpy()
