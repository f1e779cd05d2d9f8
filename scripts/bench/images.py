"""Random images of CIFAR-10's size, as a prepared dataset and as a torchvision-style dataset."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from snapshot_cli.config.experiment import Run
from snapshot_cli.datasets import store
from snapshot_cli.datasets.manifest import Manifest

TRAIN, TEST, SIDE, CLASSES, BATCH = 50_000, 10_000, 32, 10, 64


def prepared() -> store.Dataset:
    """Return a dataset of CIFAR-10's size in memory."""
    draw = np.random.default_rng(0)
    images = [draw.integers(0, 256, (count, SIDE, SIDE, 3), dtype=np.uint8) for count in (TRAIN, TEST)]
    labels = [np.arange(count) % CLASSES for count in (TRAIN, TEST)]
    facts = (tuple("abcdefghij"), SIDE, TRAIN, TEST, (125.0, 123.0, 114.0), (63.0, 62.0, 67.0), None, True, "0" * 64)
    return store.Dataset(Manifest("cifar10", "drawn at random", *facts), images[0], labels[0], images[1], labels[1])


def run(network: str, **settings: Any) -> Run:
    """Return a run on these images."""
    values = {"dataset": "cifar10", "network": network, "budget": 10, "cycles": 5, "schedule": "cosine"}
    return Run(**values | {"batch_size": BATCH} | settings)


class PerImage(Dataset[Any]):
    """Return images one by one through PIL, as torchvision's CIFAR10 does."""

    def __init__(self, dataset: store.Dataset) -> None:
        self.classes = dataset.manifest.classes
        self.images, self.labels = dataset.train_images, dataset.train_labels.tolist()
        mean, std = ([value / 255 for value in values] for values in (dataset.manifest.mean, dataset.manifest.std))
        self.transform = transforms.Compose([
            transforms.RandomCrop(SIDE, padding=4),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize(mean, std),
        ])  # fmt: skip

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(Image.fromarray(self.images[index])), self.labels[index]


def per_image(dataset: store.Dataset) -> DataLoader[Any]:
    """Return the usual loader, without workers, which on a CPU would compete with the training."""
    return DataLoader(PerImage(dataset), batch_size=BATCH, shuffle=True, num_workers=0)
