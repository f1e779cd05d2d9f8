"""Turn an official archive, a folder or a zip of images into a prepared dataset, once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from snapshot_cli.config.dataset_name import check_name
from snapshot_cli.datasets import catalogue, official, store
from snapshot_cli.datasets.averaging import area_averages
from snapshot_cli.datasets.catalogue import Facts, Three
from snapshot_cli.datasets.image_tree import tree
from snapshot_cli.datasets.index import Reading, nobody
from snapshot_cli.datasets.manifest import Manifest, read_manifest
from snapshot_cli.datasets.prepare_streamed import is_large, prepare_streamed
from snapshot_cli.datasets.sources import Splits
from snapshot_cli.datasets.store import Arrays, Images
from snapshot_cli.datasets.tiny_imagenet import in_tiny_layout, tiny_imagenet
from snapshot_cli.errors import ConfigError, UserError

Fetch = Callable[[Facts], Path]
"""Downloads the official files of a dataset and returns their archive or folder."""


def prepare(
    name: str,
    data_dir: Path,
    *,
    source: Path | None = None,
    size: int | None = None,
    fetch: Fetch | None = None,
    streamed: bool | None = None,
    reading: Reading = nobody,
) -> Manifest:
    """Read a dataset, put it into canonical order and store it under `data_dir`; return its manifest.

    Of ImageNet, and of images of one's own that are `streamed` (None: of folders that are large), an index is stored.

    A dataset of the catalogue at another size than its own is stored as "<name>-<size>". What is there already with
    the same content is left as it is. Without a source `fetch` is called where there are official files.
    Raises ConfigError for a name, size or source that cannot be meant, UserError for what is wrong in the source.
    """
    base, size = _what(name, size)
    known = catalogue.CATALOGUE.get(base)
    if _is_streamed(known, source, size, streamed):
        stored_as = base if known is None or size in (None, known.size) else f"{base}-{size}"
        return prepare_streamed(stored_as, data_dir, source=source, size=size, known=known, reading=reading)
    if known is None:
        stored_as, splits, defaults = base, _own_images(base, source, size), None
    else:
        size = None if size == known.size else size
        stored_as = base if size is None else f"{base}-{size}"
        splits, defaults = _official_images(known, source, size, fetch), catalogue.facts(stored_as)
    arrays = _in_canonical_order(splits)
    manifest = _manifest(stored_as, splits, arrays, defaults)
    existing = _intact(data_dir, manifest)
    if existing is None:
        store.save(data_dir, manifest, arrays)
    return existing or manifest


def _what(name: str, size: int | None) -> tuple[str, int | None]:
    """Return the dataset and the size that are meant by a name such as "cifar10-16" and a size, checked."""
    try:
        check_name(name)
    except ValueError as problem:
        raise ConfigError(str(problem)) from problem
    base, named = catalogue.split_name(name)
    if size is not None and named is not None and size != named:
        raise ConfigError(f"the name {name} asks for {named} pixels and --size for {size}; give one of them")
    size = named if size is None else size
    known = catalogue.CATALOGUE.get(base)
    most = f" up to {known.size}, the side of {known.title}" if known else ""
    if size is not None and (size < 4 or size % 4 or (known is not None and size > known.size)):
        raise ConfigError(f"expected a size in pixels that is a multiple of 4{most}, given {size}")
    return base, size


def _is_streamed(known: Facts | None, source: Path | None, size: int | None, asked: bool | None) -> bool:
    if known is None:
        if asked is None:
            return source is not None and is_large(source, size) and not in_tiny_layout(source)
        return asked and source is not None
    if asked is not None and asked != known.streamed:
        how = "streamed" if known.streamed else "held on the device"
        raise ConfigError(f"{known.name} is always {how}; leave --{'streamed' if asked else 'resident'} out")
    return known.streamed


def _official_images(known: Facts, source: Path | None, size: int | None, fetch: Fetch | None) -> Splits:
    if not known.files and source is not None:
        raise ConfigError(f"{known.name} comes from {known.source}; leave --from out")
    if known.files and source is None:
        if fetch is None:
            command = catalogue.how_to_prepare(known.name if size is None else f"{known.name}-{size}")
            raise ConfigError(f"{known.name} has to come from somewhere; type: {command}")
        source = fetch(known)
    splits = official.read(known, source)
    official.check(splits, known, "" if source is None else f"{source}: ")
    return splits if size is None else _averaged(splits, size)


def _own_images(name: str, source: Path | None, size: int | None) -> Splits:
    if source is None:
        raise ConfigError(
            f"'{name}' is none of {', '.join(catalogue.CATALOGUE)}; for images of your own type:"
            f" {catalogue.how_to_prepare(name)}"
        )
    splits = (tiny_imagenet if in_tiny_layout(source) else tree)(source, size=size)
    side = splits.train_images.shape[1]
    if side % 4:
        way_out = f"; give --size {side // 4 * 4}" if side > 4 else ""
        raise UserError(f"{source}: the images are {side}x{side}, expected a multiple of 4{way_out}")
    return splits if size is None else replace(splits, source=f"{splits.source}, averaged to {size} pixels")


def _averaged(splits: Splits, size: int) -> Splits:
    return replace(
        splits,
        train_images=area_averages(splits.train_images, size),
        test_images=area_averages(splits.test_images, size),
        source=f"{splits.source}, averaged to {size} pixels",
    )


def _in_canonical_order(splits: Splits) -> Arrays:
    train = store.canonical_order(splits.train_images, splits.train_labels)
    test = store.canonical_order(splits.test_images, splits.test_labels)
    return Arrays(
        splits.train_images[train], splits.train_labels[train], splits.test_images[test], splits.test_labels[test]
    )


def _manifest(name: str, splits: Splits, arrays: Arrays, defaults: Facts | None) -> Manifest:
    mean, std = channel_statistics(arrays.train_images)
    return Manifest(
        name=name,
        source=splits.source,
        classes=splits.classes,
        size=arrays.train_images.shape[1],
        train=len(arrays.train_labels),
        test=len(arrays.test_labels),
        mean=defaults.mean if defaults and defaults.mean else mean,
        std=defaults.std if defaults and defaults.std else std,
        padding=defaults.padding if defaults else None,
        flip=defaults.flip if defaults else True,
        content_hash=store.content_hash(arrays),
        lighting=defaults.lighting if defaults else 0.0,
    )


def channel_statistics(images: Images) -> tuple[Three, Three]:
    """Return the mean and the deviation of each channel, 0..255, to 4 decimals; a constant channel has deviation 1."""
    # Counting the 256 values is exact whatever the order and number of the pixels, and needs no copy in float64.
    counts = np.zeros((3, 256), dtype=np.int64)
    for start in range(0, len(images), 1000):
        for channel in range(3):
            counts[channel] += np.bincount(images[start : start + 1000, ..., channel].ravel(), minlength=256)
    shares = counts / counts.sum(axis=1, keepdims=True)
    mean = shares @ np.arange(256.0)
    variance = (shares * (np.arange(256.0) - mean[:, None]) ** 2).sum(axis=1)
    std = np.where(variance > 0, np.sqrt(variance), 1.0)
    return _rounded(mean), _rounded(std)


def _rounded(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Three:
    red, green, blue = (round(float(value), 4) for value in values)
    return red, green, blue


def _intact(data_dir: Path, manifest: Manifest) -> Manifest | None:
    """Return the manifest of the same dataset where it is stored already and its arrays still match, else None."""
    existing = read_manifest(data_dir, manifest.name)
    if existing is None or not store.same_but_source(existing, manifest):
        return None
    try:
        return store.verify(data_dir, manifest.name)
    except UserError:
        return None
