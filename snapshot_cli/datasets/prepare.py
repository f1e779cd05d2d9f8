"""Turn an official archive, a folder or a zip of images into a prepared dataset."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from snapshot_cli.config.dataset_name import check_name
from snapshot_cli.datasets import catalogue, image_tree, official, store
from snapshot_cli.datasets.averaging import area_averages
from snapshot_cli.datasets.catalogue import CATALOGUE, Facts, Three
from snapshot_cli.datasets.duplicates import Duplicates, Keyed, count
from snapshot_cli.datasets.image_files import open_source
from snapshot_cli.datasets.index import ReadProgress, ignore_progress
from snapshot_cli.datasets.listing import Choices, Listing, list_images
from snapshot_cli.datasets.manifest import Manifest, read_manifest
from snapshot_cli.datasets.prepare_streamed import is_large, read_streamed, where_from
from snapshot_cli.datasets.scratch import scratch_folder
from snapshot_cli.datasets.sources import Splits
from snapshot_cli.datasets.store import Arrays, Images, OnDisk, Reordered
from snapshot_cli.datasets.tiny_imagenet import in_tiny_layout, list_tiny_imagenet
from snapshot_cli.errors import ConfigError, UserError

Fetch = Callable[[Facts], Path]
"""Downloads the official files of a dataset and returns their archive or folder."""
Note = Callable[[str], None]
"""Called with a sentence that the user should read."""


def prepare(
    name: str,
    data_dir: Path,
    *,
    source: Path | None = None,
    size: int | None = None,
    fetch: Fetch | None = None,
    streamed: bool | None = None,
    choices: Choices | None = None,
    overwrite: bool = False,
    progress: ReadProgress = ignore_progress,
    note: Note = lambda text: None,
) -> Manifest:
    """Read a dataset, sort it into canonical order and store it under `data_dir`; return its manifest.

    For ImageNet, and for your own images if `streamed` (None: if the folder is large), only an index is stored.

    A dataset of the catalogue in another size is stored as "<name>-<size>". An existing dataset of equal content is
    kept; other images are replaced only with `overwrite`. Without `source`, `fetch` downloads the official files.
    Raises ConfigError for an impossible name, size, choice or source, UserError for faults in the source.
    """
    base, size = _parse_name(name, size)
    published = CATALOGUE.get(base)
    size = None if published is not None and size == published.size else size
    stored_as = base if published is None or size is None else f"{base}-{size}"
    chosen = choices or Choices()
    store.refuse_other_content(data_dir / stored_as)
    listing: Listing | None = None
    if published is None:
        listing = _list_own(base, source, chosen)
        if streamed or (streamed is None and is_large(listing, size) and listing.titles is None):
            return _store_streamed(stored_as, data_dir, listing, None, size, chosen, overwrite, progress, note)
    else:
        _check_catalogue(published, streamed, chosen)
        if published.streamed:
            if source is None:
                raise ConfigError(where_from(stored_as))
            files = list_images(open_source(source), replace(chosen, test_from="val"))
            return _store_streamed(stored_as, data_dir, files, published, size, chosen, overwrite, progress, note)
    with scratch_folder(data_dir) as folder:
        if listing is not None:
            splits = _own_images(listing, folder / "images", size, chosen, progress)
        else:
            assert published is not None
            splits = _official_images(published, source, size, fetch, folder / "images", progress, note)
        return _store(stored_as, data_dir, splits, published, listing, overwrite, note)


def _list_own(name: str, source: Path | None, choices: Choices) -> Listing:
    if source is None:
        raise ConfigError(
            f"'{name}' is not a known dataset ({', '.join(CATALOGUE)}); for your own images type:"
            f" {catalogue.how_to_prepare(name)}"
        )
    opened = open_source(source)
    if not in_tiny_layout(opened):
        return list_images(opened, choices)
    options = replace(choices, skip_broken=False).options
    if options:
        raise ConfigError(
            f"{source} has Tiny ImageNet's layout, which defines classes and test images; leave {' and '.join(options)}"
            " out"
        )
    return list_tiny_imagenet(opened)


def _check_catalogue(published: Facts, streamed: bool | None, choices: Choices) -> None:
    if streamed is not None and streamed != published.streamed:
        how = "streamed" if published.streamed else "held on the device"
        raise ConfigError(f"{published.name} is always {how}; leave --{'streamed' if streamed else 'resident'} out")
    if choices.options:
        raise ConfigError(
            f"{published.name} has its official classes and test set; leave {' and '.join(choices.options)} out, or"
            " choose another name"
        )


def _store_streamed(
    name: str,
    data_dir: Path,
    listing: Listing,
    published: Facts | None,
    size: int | None,
    choices: Choices,
    overwrite: bool,
    progress: ReadProgress,
    note: Note,
) -> Manifest:
    with scratch_folder(data_dir):  # a folder that cannot be written to is refused before the files are read
        read = read_streamed(
            name, listing, size=size, published=published, skip_broken=choices.skip_broken, progress=progress
        )  # fmt: skip
    _refuse_taken(data_dir, read.manifest, overwrite)
    store.save(data_dir, read.manifest, read.index)
    _say(note, listing, read.manifest, read.duplicates)
    return read.manifest


def _store(
    name: str,
    data_dir: Path,
    splits: Splits,
    published: Facts | None,
    listing: Listing | None,
    overwrite: bool,
    note: Note,
) -> Manifest:
    arrays, digests = splits.ordered()
    with ThreadPoolExecutor(1) as pool:
        hashing = pool.submit(store.content_hash, arrays)
        statistics = channel_statistics(arrays.train_images)
        content = hashing.result()
    catalogue_facts = next((facts for facts in CATALOGUE.values() if facts.content_hash == content), None)
    defaults = catalogue_facts if published is None else catalogue.facts(name)
    manifest = _manifest(name, splits, arrays, defaults, statistics, content)
    duplicates, lines = _duplicates(splits, digests)
    manifest = replace(manifest, duplicates=duplicates, broken=splits.broken)
    if listing is not None:
        manifest = replace(
            manifest, skipped=listing.skipped, test_share=listing.test_share, split_seed=listing.split_seed
        )
    _refuse_taken(data_dir, manifest, overwrite)
    existing = _intact(data_dir, manifest)
    if existing is None:
        store.save(data_dir, manifest, arrays)
    _say(note, listing, manifest, lines)
    if published is None:
        _say_augmentation(note, manifest, catalogue_facts, listing)
    return existing or manifest


def _refuse_taken(data_dir: Path, manifest: Manifest, overwrite: bool) -> None:
    existing = None if overwrite else read_manifest(data_dir, manifest.name)
    if existing is not None and existing.content_hash != manifest.content_hash:
        raise UserError(
            f"{data_dir / manifest.name} holds other images ({existing.train:,} to train, {existing.test:,} to test,"
            f" {existing.size}x{existing.size}, from {existing.source}); choose another name, or add --replace: runs"
            " that were trained on them can then no longer be resumed"
        )


def _duplicates(splits: Splits, digests: Sequence[bytes]) -> tuple[Duplicates, list[str]]:
    cut = len(splits.train_labels)

    def name(split: str, start: int) -> Callable[[int], str]:
        return lambda row: splits.names[start + row] if splits.names else f"{split} image {row}"

    return count(
        Keyed(digests[:cut], splits.train_labels.tolist(), name("training", 0)),
        Keyed(digests[cut:], splits.test_labels.tolist(), name("test", cut)),
    )


def _say(note: Note, listing: Listing | None, manifest: Manifest, duplicates: list[str]) -> None:
    """Report what was taken, what was left out, and duplicates."""
    for text in listing.notes if listing else ():
        note(text)
    if manifest.skipped:
        files = "1 file that is no image" if manifest.skipped == 1 else f"{manifest.skipped:,} files that are no images"
        note(f"skipped: {files} (text, thumbnails, hidden files)")
    if manifest.broken:
        files = "1 file" if len(manifest.broken) == 1 else f"{len(manifest.broken):,} files"
        note(f"left out: {files} that cannot be read; {manifest.name}/manifest.json lists them")
    facts = CATALOGUE.get(catalogue.split_name(manifest.name)[0])
    for line in duplicates:
        leaks = manifest.duplicates.test_in_training if manifest.duplicates else 0
        published = facts and facts.test_in_training and facts.test_in_training == leaks and "leak" in line
        note(line + ("; so are they as published" if published else ""))


def _say_augmentation(note: Note, manifest: Manifest, catalogue_facts: Facts | None, listing: Listing | None) -> None:
    """Report the augmentation of images that are, or may be, a dataset of the catalogue under another name."""
    if catalogue_facts is not None:
        note(f"these are the images of {catalogue_facts.title}: they get its normalisation and augmentation")
    elif listing is not None and listing.titles is not None:
        lighting = CATALOGUE["tiny-imagenet"].lighting
        note(
            f"Tiny ImageNet's colour alteration is off, since this need not be that dataset: for the paper's"
            f" augmentation write 'lighting: {lighting}' into the config"
        )


def _parse_name(name: str, size: int | None) -> tuple[str, int | None]:
    """Return the base name and the size of a dataset such as "cifar10-16"; ConfigError for an impossible one."""
    try:
        check_name(name)
    except ValueError as problem:
        raise ConfigError(str(problem)) from problem
    base, named = catalogue.split_name(name)
    if size is not None and named is not None and size != named:
        raise ConfigError(f"the name {name} means {named} pixels and --size {size}; give one of them")
    given = f"--size {size}" if size is not None else f"{name}, size {named}"
    size = named if size is None else size
    published = CATALOGUE.get(base)
    limit = f" up to {published.size}, the side of {published.title}" if published else ""
    if size is not None and (size < 4 or size % 4 or (published is not None and size > published.size)):
        raise ConfigError(f"{given}: expected a multiple of 4{limit}, in pixels")
    return base, size


def _official_images(
    published: Facts,
    source: Path | None,
    size: int | None,
    fetch: Fetch | None,
    array: Path,
    progress: ReadProgress,
    note: Note,
) -> Splits:
    if not published.files and source is not None:
        raise ConfigError(f"{published.name} comes from {published.source}; leave --from out")
    if published.files and source is None:
        if fetch is None:
            command = catalogue.how_to_prepare(published.name if size is None else f"{published.name}-{size}")
            raise UserError(f"{published.name}: not prepared; type: {command}")
        source = fetch(published)
    images = official.read(published, source)
    splits = image_tree.read(images, array, progress=progress) if isinstance(images, Listing) else images
    official.check(splits, published, "" if source is None else f"{source}: ")
    if isinstance(images, Listing) and not official.is_published(splits, published):
        note(
            f"{source}: these are not the published pixels of {published.title} (a lossy copy?): errors do not compare"
            " with the paper's"
        )
    return splits if size is None else _averaged(splits, size)


def _own_images(listing: Listing, array: Path, size: int | None, choices: Choices, progress: ReadProgress) -> Splits:
    splits = image_tree.read(listing, array, size=size, skip_broken=choices.skip_broken, progress=progress)
    side = splits.train_images.shape[1]
    if side % 4:
        remedy = f"; give --size {side // 4 * 4}" if side > 4 else ""
        raise UserError(f"{listing.source}: the images are {side}x{side}, expected a multiple of 4{remedy}")
    return splits if size is None else replace(splits, source=f"{splits.source}, averaged to {size} pixels")


def _averaged(splits: Splits, size: int) -> Splits:
    return replace(
        splits,
        train_images=area_averages(splits.train_images, size),
        test_images=area_averages(splits.test_images, size),
        source=f"{splits.source}, averaged to {size} pixels",
        digests=(),
    )


def _manifest(
    name: str,
    splits: Splits,
    arrays: Arrays,
    defaults: Facts | None,
    statistics: tuple[Three, Three],
    content_hash: str,
) -> Manifest:
    mean, std = statistics
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
        content_hash=content_hash,
        lighting=defaults.lighting if defaults else 0.0,
    )


def channel_statistics(images: Images | Reordered | OnDisk) -> tuple[Three, Three]:
    """Return the mean and std of every channel, 0..255, to 4 decimals; a constant channel has std 1."""
    # Counting the 256 values is exact for any order and number of pixels, without a copy in float64.
    counts = np.zeros((3, 256), dtype=np.int64)
    for part in store.chunks(images):
        rows = Image.fromarray(np.ascontiguousarray(part).reshape(-1, part.shape[2], 3))
        counts += np.reshape(rows.histogram(), (3, 256))
    shares = counts / counts.sum(axis=1, keepdims=True)
    mean = shares @ np.arange(256.0)
    variance = (shares * (np.arange(256.0) - mean[:, None]) ** 2).sum(axis=1)
    std = np.where(variance > 0, np.sqrt(variance), 1.0)
    return _rounded(mean), _rounded(std)


def _rounded(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Three:
    red, green, blue = (round(float(value), 4) for value in values)
    return red, green, blue


def _intact(data_dir: Path, manifest: Manifest) -> Manifest | None:
    """Return the stored manifest if the same dataset is stored already and its arrays are intact, else None."""
    existing = read_manifest(data_dir, manifest.name)
    if existing is None or not store.same_but_source(existing, manifest):
        return None
    try:
        return store.verify(data_dir, manifest.name)
    except UserError:
        return None
