"""Read a dataset of the catalogue from its official files or from images, and check that it is that dataset."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from snapshot_cli.datasets import checksum, store
from snapshot_cli.datasets.catalogue import Facts
from snapshot_cli.datasets.cifar import LAYOUTS, find_extracted, read_cifar
from snapshot_cli.datasets.image_files import open_source
from snapshot_cli.datasets.listing import Choices, Listing, list_images
from snapshot_cli.datasets.sources import Splits, read_digits
from snapshot_cli.datasets.svhn import has_files, read_svhn
from snapshot_cli.datasets.tiny_imagenet import in_tiny_layout, list_tiny_imagenet
from snapshot_cli.errors import UserError

EXPECTED = "the layout {train,test}/CLASS/FILE"


def read(published: Facts, source: Path | None) -> Splits | Listing:
    """Read a dataset from its official files, or list a folder or zip of its images; call `check` on the result.

    `source` is None for images that come with a library. Raises UserError that says what is wrong.
    """
    if source is None:
        return read_digits()
    if not source.exists():
        raise UserError(f"{source}: no such file or folder")
    source = _find_archive(source, published) or source
    packed = source.suffix.lower() == ".zip" or zipfile.is_zipfile(source)
    if published.name in LAYOUTS and not packed and (source.is_file() or find_extracted(source, published)):
        return read_cifar(source, published)
    if (
        published.name in ("svhn", "svhn-without-extra")
        and not packed
        and (source.is_file() or has_files(source, published))
    ):
        return read_svhn(source, published)
    if published.name == "tiny-imagenet" and source.is_file() and not zipfile.is_zipfile(source):
        checksum.check(source, *published.files)
    opened = open_source(source)
    if published.name == "tiny-imagenet" and in_tiny_layout(opened):
        if packed:
            checksum.check(source, *published.files)
        return list_tiny_imagenet(opened)
    names = ", ".join(file.name for file in (*published.files, *published.also))
    return list_images(opened, Choices(), expected=f"the official files ({names}) or {EXPECTED}")


def _find_archive(folder: Path, published: Facts) -> Path | None:
    """Return the official archive in a folder, such as one of downloads, unless it is unpacked there too."""
    if len(published.files) != 1 or (published.name in LAYOUTS and find_extracted(folder, published)):
        return None
    archives = (folder / file.name for file in (*published.files, *published.also))
    return next((archive for archive in archives if archive.is_file()), None)


def check(splits: Splits, published: Facts, where: str) -> None:
    """Raise UserError if class names, side or counts differ from the published facts."""
    difference = _find_difference(splits, published)
    if difference is not None:
        raise UserError(f"{where}{difference}; choose another name for other images")


def is_published(splits: Splits, published: Facts) -> bool:
    """Return whether images equal the published ones, pixel by pixel; True if their content hash is unknown."""
    if published.content_hash is None:
        return True
    return store.content_hash(splits.ordered().arrays) == published.content_hash


def _find_difference(splits: Splits, published: Facts) -> str | None:
    """Return how images differ from the published facts; None if they do not."""
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
