"""Prepare a streamed dataset: an index of image files that stay in place."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections import Counter, defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from snapshot_cli.config.machine import processors
from snapshot_cli.datasets import ground_truth, image_files, index
from snapshot_cli.datasets.catalogue import CATALOGUE, Facts
from snapshot_cli.datasets.duplicates import Duplicates, Keyed, count
from snapshot_cli.datasets.file_bytes import read_member
from snapshot_cli.datasets.image_tree import check_broken, check_left
from snapshot_cli.datasets.index import AT_ONCE, Index, ReadProgress
from snapshot_cli.datasets.listing import Listing
from snapshot_cli.datasets.manifest import Manifest
from snapshot_cli.errors import UserError, command, reason

LARGE = 2**32  # bytes on the device, 3 per pixel; a user's images that take more are streamed


@dataclass(frozen=True)
class Read:
    """The index and manifest of the files of a listing."""

    index: Index
    duplicates: list[str]
    """One line per kind of duplicates."""
    manifest: Manifest


def read_streamed(
    name: str,
    listing: Listing,
    *,
    size: int | None = None,
    published: Facts | None = None,
    skip_broken: bool = False,
    progress: ReadProgress = index.ignore_progress,
) -> Read:
    """Read and decode every file of a listing once and return an index of them, in canonical order, and its manifest.

    `size` is the side of the crops, 224 if not given. Raises UserError naming what is wrong: the counts of a dataset of
    the catalogue, the files that are no images.
    """
    if published is not None:
        check_counts(listing, published)
    unordered, keys, broken = _read_all(listing, skip_broken=skip_broken, progress=progress)
    duplicates, lines = _duplicates(unordered, keys, listing)
    files, facts = index.canonical(unordered), CATALOGUE["imagenet"]
    manifest = Manifest(
        name=name,
        source=f"{listing.source.resolve().name}, a {listing.kind}",
        classes=_titled(listing),
        size=size or facts.size,
        train=len(files.train_labels),
        test=len(files.test_labels),
        mean=facts.mean or (0.0, 0.0, 0.0),
        std=facts.std or (1.0, 1.0, 1.0),
        padding=None,
        flip=True,
        content_hash=index.content_hash(files, size or facts.size),
        lighting=facts.lighting,
        folder=str(listing.source.resolve()),
        duplicates=duplicates,
        skipped=listing.skipped,
        broken=broken,
        test_share=listing.test_share,
        split_seed=listing.split_seed,
    )
    return Read(files, lines, manifest)


def check_counts(listing: Listing, published: Facts) -> None:
    """Raise UserError if the numbers of classes or images differ from the published ones."""
    again = command("data", "prepare", "NAME", "--from", listing.source, "--streamed")
    remedy = f"; give a part of it another name: {again}"
    if len(listing.classes) != published.classes:
        count = f"{len(listing.classes):,} classes, {published.title} has {published.classes:,}"
        raise UserError(f"{listing.source}: {count}{remedy}")
    for split, files, number in (
        ("train", listing.train, published.train),
        (listing.test_split, listing.test, published.test),
    ):
        if len(files) != number:
            raise UserError(
                f"{listing.source}: {len(files):,} images in {split}, {published.title} has {number:,}{remedy}"
            )
    expected = published.test // published.classes
    for wnid, images in sorted(Counter(listing.test.values()).items()):
        if images != expected:
            raise UserError(
                f"{listing.source}: {images:,} images of class {wnid} in {listing.test_split}, {published.title} has"
                f" {expected:,}"
            )


def is_large(listing: Listing, size: int | None) -> bool:
    """Return whether the images of a folder take more than `LARGE` bytes on the device, as squares of side `size`.

    Without a size, all are assumed to be as large as the first.
    """
    if not listing.source.is_dir():
        return False
    return (len(listing.train) + len(listing.test)) * 3 * (size or _side(listing)) ** 2 > LARGE


def _side(listing: Listing) -> int:
    try:
        with Image.open(listing.source / min(listing.train)) as image:
            return max(image.size)
    except Exception:  # decoding the file reports the error
        return 0


def _read_all(
    listing: Listing, *, skip_broken: bool, progress: ReadProgress
) -> tuple[Index, tuple[list[bytes], list[bytes]], tuple[str, ...]]:
    """Return an index in the order of the listing, the looks of training and test files, and the broken files."""
    numbers = {name: label for label, name in enumerate(listing.classes)}
    paths = [*listing.train, *listing.test]
    results = list[tuple[bytes, bytes, str | None]]()
    with ThreadPoolExecutor(processors()) as pool, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's; what it cannot read is refused
        for start in range(0, len(paths), AT_ONCE):
            progress(start, len(paths))
            results += pool.map(lambda path: _read(listing.source, path), paths[start : start + AT_ONCE])
    check_broken(listing, [flaw for *_, flaw in results if flaw], skip_broken=skip_broken)
    parts = list[np.ndarray]()
    looks = list[list[bytes]]()
    for classes, start in ((listing.train, 0), (listing.test, len(listing.train))):
        kept = [row for row in range(start, start + len(classes)) if results[row][2] is None]
        labels = np.array([numbers[classes[paths[row]]] for row in kept], np.int64)
        digests = np.frombuffer(b"".join(results[row][0] for row in kept), dtype=np.uint8).reshape(-1, 32)
        parts += [np.array([os.fsencode(paths[row]) for row in kept]), digests, labels]
        looks.append([results[row][1] for row in kept])
    check_left(listing, parts[2], parts[5])
    broken = tuple(path for path, (*_, flaw) in zip(paths, results, strict=True) if flaw)
    return Index(*parts), (looks[0], looks[1]), broken


def _read(source: Path, name: str) -> tuple[bytes, bytes, str | None]:
    """Return the sha256 of a file, the hash of its look, and its flaw, None if it has none."""
    try:
        data = read_member(source, name)
    except Exception as problem:  # what zipfile raises on damaged members is a long list
        return b"", b"", f"{source / name}: cannot be read ({reason(problem)})"
    flaw, look = image_files.look(data)
    flaw = f"{source / name}: cannot be read as an image ({flaw})" if flaw else None
    return hashlib.sha256(data).digest(), look, flaw


def _duplicates(files: Index, looks: tuple[list[bytes], list[bytes]], listing: Listing) -> tuple[Duplicates, list[str]]:
    """Count images of equal pixels; different files that look alike when small are decoded in full."""
    both = [*looks[0], *looks[1]]
    digests = [row.tobytes() for row in (*files.train_digests, *files.test_digests)]
    paths = [os.fsdecode(path) for path in (*files.train_paths, *files.test_paths)]
    alike: defaultdict[bytes, dict[bytes, int]] = defaultdict(dict)
    for row, (look, digest) in enumerate(zip(both, digests, strict=True)):
        alike[look].setdefault(digest, row)
    keys = dict[bytes, bytes]()
    for rows in alike.values():
        for digest, row in rows.items():
            keys[digest] = digest if len(rows) == 1 else _pixels_digest(listing.source, paths[row])
    cut = len(files.train_labels)

    def keyed(start: int, labels: Sequence[int]) -> Keyed:
        of_split = [keys[digest] for digest in digests[start : start + len(labels)]]
        return Keyed(of_split, labels, lambda row: paths[start + row])

    return count(keyed(0, files.train_labels.tolist()), keyed(cut, files.test_labels.tolist()))


def _pixels_digest(source: Path, name: str) -> bytes:
    image = image_files.pixels(lambda: read_member(source, name), f"{source}: {name}")
    return hashlib.sha256(f"{image.shape}".encode() + image.tobytes()).digest()


def _titled(listing: Listing) -> tuple[str, ...]:
    if listing.titles is not None or not listing.source.is_dir():
        return listing.titles or listing.classes
    titles = ground_truth.read_titles(listing.source)
    return tuple(f"{name} {titles[name]}" if titles.get(name) else name for name in listing.classes)


def where_from(name: str) -> str:
    """Explain where to get ImageNet and what to type then."""
    return (
        f"{name} cannot be downloaded by a program: its terms must be agreed to. Fetch ILSVRC2012_img_train.tar,"
        " ILSVRC2012_img_val.tar and ILSVRC2012_devkit_t12.tar.gz from https://image-net.org/download-images, unpack"
        f" them to FOLDER/train/<wnid>, FOLDER/val and FOLDER, and type: snapshot data prepare {name} --from FOLDER"
    )
