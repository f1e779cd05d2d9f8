"""Choose the reader for what a person has of a dataset of the catalogue, and check that it is that dataset."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from snapshot_cli.datasets import checksum, store, svhn
from snapshot_cli.datasets.catalogue import Facts
from snapshot_cli.datasets.cifar import LAYOUTS, cifar, extracted
from snapshot_cli.datasets.image_files import open_source
from snapshot_cli.datasets.listing import Choices, Listing, list_images
from snapshot_cli.datasets.sources import Splits, digits
from snapshot_cli.datasets.tiny_imagenet import in_tiny_layout, list_tiny_imagenet
from snapshot_cli.errors import UserError

EXPECTED = "the layout {train,test}/CLASS/FILE"


def read(published: Facts, source: Path | None) -> Splits | Listing:
    """Read a dataset from its official archive, folder or files, or list the files of the same images; not checked yet.

    `source` is None for images that come with a library. Raises UserError naming what is wrong.
    """
    if source is None:
        return digits()
    if not source.exists():
        raise UserError(f"{source}: no such file or folder")
    packed = source.suffix.lower() == ".zip" or zipfile.is_zipfile(source)
    if published.name in LAYOUTS and not packed and (source.is_file() or extracted(source, published)):
        return cifar(source, published)
    if (
        published.name in ("svhn", "svhn-without-extra")
        and not packed
        and (source.is_file() or svhn.has_files(source, published))
    ):
        return svhn.svhn(source, published)
    opened = open_source(source)
    if published.name == "tiny-imagenet" and in_tiny_layout(opened):
        if packed:
            checksum.check(source, *published.files)
        return list_tiny_imagenet(opened)
    names = ", ".join(file.name for file in (*published.files, *published.also))
    return list_images(opened, Choices(), expected=f"the official files ({names}) or {EXPECTED}")


def check(splits: Splits, published: Facts, where: str) -> None:
    """Refuse images that have not the class names, side and counts of the dataset they are said to be."""
    flaw = _flaw(splits, published)
    if flaw is not None:
        raise UserError(f"{where}{flaw}; other images need a name of their own")


def is_published(splits: Splits, published: Facts) -> bool:
    """Tell whether images are, pixel by pixel, those that were published; True if it cannot be told."""
    if published.content_hash is None:
        return True
    return store.content_hash(splits.ordered().arrays) == published.content_hash


def _flaw(splits: Splits, published: Facts) -> str | None:
    """Return what of some images differs from the facts, None where nothing does."""
    if published.class_names is not None and splits.classes != published.class_names:
        odd = sorted(set(splits.classes) ^ set(published.class_names))
        return f"the classes are not those of {published.title}; differing: {', '.join(odd) or 'their order'}"
    if len(splits.classes) != published.classes:
        return f"{len(splits.classes)} classes, {published.title} has {published.classes}"
    side = splits.train_images.shape[1]
    if side != published.size:
        return f"the images are {side}x{side}, those of {published.title} {published.size}x{published.size}"
    for split, labels, examples, counts in (
        ("training", splits.train_labels, published.train, published.train_counts),
        ("test", splits.test_labels, published.test, published.test_counts),
    ):
        if len(labels) != examples:
            return f"{len(labels):,} {split} images, {published.title} has {examples:,}"
        expected = counts or (examples // published.classes,) * published.classes
        count_of_class = np.bincount(labels, minlength=published.classes)
        for name, count, right in zip(splits.classes, count_of_class, expected, strict=True):
            if count != right:
                return f"{count:,} {split} images of class {name}, {published.title} has {right:,}"
    return None
