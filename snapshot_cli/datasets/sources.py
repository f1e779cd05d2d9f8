"""The result of a reader of images, and the reader of scikit-learn's digits."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from snapshot_cli.datasets.proportions import shares
from snapshot_cli.datasets.store import Arrays, Images, Labels, Reordered, canonical_order, digests_of


@dataclass(frozen=True)
class Splits:
    """Hold images (examples, side, side, 3) and labels that index `classes`, in any order."""

    train_images: Images
    train_labels: Labels
    test_images: Images
    test_labels: Labels
    classes: tuple[str, ...]
    source: str
    """A sentence for the manifest: file name and kind, never an absolute path."""
    names: tuple[str, ...] = ()
    """The paths of the images in their folder, training images first; empty for archives of arrays."""
    broken: tuple[str, ...] = ()
    """Unreadable files that were skipped."""
    digests: tuple[bytes, ...] = ()
    """The sha256 of the pixels of every image, training images first; empty if not computed yet."""

    def ordered(self) -> Ordered:
        """Put training and test images into canonical order."""
        digests = self.digests or (*digests_of(self.train_images), *digests_of(self.test_images))
        cut = len(self.train_labels)
        train, test = (
            canonical_order(digests[:cut], self.train_labels),
            canonical_order(digests[cut:], self.test_labels),
        )
        arrays = Arrays(
            Reordered(self.train_images, train), self.train_labels[train],
            Reordered(self.test_images, test), self.test_labels[test],
        )  # fmt: skip
        return Ordered(arrays, digests)


class Ordered(NamedTuple):
    """Arrays in canonical order, and the sha256 of the pixels of every image in the order of the source."""

    arrays: Arrays
    digests: Sequence[bytes]


DIGITS_TRAIN = 400  # few, so that methods differ, and 1,397 test images resolve the differences


def read_digits() -> Splits:
    """Read scikit-learn's handwritten digits: 8x8, grey 0..16 scaled to 0..255, three equal channels.

    400 images to train and 1,397 to test, the same on every machine: in each class the training images are those whose
    pixels have the largest sha256.
    """
    from sklearn.datasets import load_digits  # type: ignore[import-untyped]

    loaded = load_digits()
    grey = np.rint(loaded.images * (255 / 16)).astype(np.uint8)
    images = np.repeat(grey[..., None], 3, axis=3)
    labels = loaded.target.astype(np.int64)
    test = _stratified(images, labels, len(labels) - DIGITS_TRAIN)
    names = tuple(str(name) for name in loaded.target_names)
    return Splits(images[~test], labels[~test], images[test], labels[test], names, "scikit-learn's load_digits")


def _stratified(images: Images, labels: Labels, examples: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    digests = [hashlib.sha256(image.tobytes()).digest() for image in images]
    chosen = np.zeros(len(labels), dtype=np.bool_)
    for label, count in enumerate(shares(np.bincount(labels).tolist(), examples)):
        rows = np.flatnonzero(labels == label)
        chosen[sorted(rows, key=lambda row: digests[row])[:count]] = True
    return chosen
