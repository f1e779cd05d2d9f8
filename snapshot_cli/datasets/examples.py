"""Pick training images of every class, as stored and as augmented."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from snapshot_cli.config.experiment import Run
from snapshot_cli.datasets import batches
from snapshot_cli.datasets.averaging import central_square
from snapshot_cli.datasets.image_files import pixels
from snapshot_cli.datasets.index import ImageFiles
from snapshot_cli.datasets.store import Dataset, Images


def rows_of_classes(labels: np.ndarray, examples: int, *, seed: int = 0) -> list[int]:
    """Choose rows of all classes in turn; if there are fewer rows than classes, of evenly spaced classes."""
    draw = np.random.default_rng(seed)
    classes = np.unique(labels)
    if examples < len(classes):
        classes = classes[np.linspace(0, len(classes) - 1, examples).round().astype(int)]
    shuffled = [draw.permutation(np.flatnonzero(labels == label)).tolist() for label in classes]
    turns = max(len(rows) for rows in shuffled)
    ordered = [rows[turn] for turn in range(turns) for rows in shuffled if turn < len(rows)]
    return sorted(ordered[:examples])


def stored(dataset: Dataset, row: int) -> Images:
    """Return a training image (side, side, 3) without augmentation; of a streamed one, the central square."""
    images = dataset.train_images
    if not isinstance(images, ImageFiles):
        return np.array(images[row])
    return central_square(pixels(lambda: images.read(row), str(images.path(row))))


def augmented(dataset: Dataset, rows: list[int], *, versions: int, seed: int = 0) -> Images:
    """Return augmented versions of some images as colours: uint8 (versions, rows, side, side, 3)."""
    numbered = replace(  # the label is the position here, to identify the image in a shuffled batch
        dataset, train_images=dataset.train_images[rows], train_labels=np.arange(len(rows), dtype=np.int64)
    )
    run = Run(dataset=dataset.manifest.name, network="resnet-8", budget=1, cycles=1, alpha0=0.1, schedule="cosine")
    splits = batches.build_feeds(run, numbered, device=torch.device("cpu"))
    mean, std = (
        np.array(values, np.float32)[:, None, None] for values in (dataset.manifest.mean, dataset.manifest.std)
    )
    made = np.empty((versions, len(rows), dataset.manifest.size, dataset.manifest.size, 3), dtype=np.uint8)
    for version in range(versions):
        for images, places in splits["train"].training(seed, version, batch_size=len(rows)):
            colours = np.rint(images.numpy() * std + mean).clip(0, 255).astype(np.uint8)
            made[version, places.numpy()] = colours.transpose(0, 2, 3, 1)
    return made
