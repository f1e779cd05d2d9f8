"""Turn a folder of image files into a prepared dataset that is streamed: an index of files that stay where they are."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from snapshot_cli.datasets import ground_truth, image_files, index, store
from snapshot_cli.datasets.catalogue import CATALOGUE, Facts
from snapshot_cli.datasets.image_listing import Listing, listing
from snapshot_cli.datasets.index import AT_ONCE, Index, Reading
from snapshot_cli.datasets.manifest import Manifest
from snapshot_cli.errors import ConfigError, UserError

LARGE = 2**32  # bytes on the device, 3 a pixel, from which on images of one's own are streamed
SPLITS = ("train", "test", "val")
NAMED = 10  # unreadable files that are named


def prepare_streamed(
    name: str,
    data_dir: Path,
    *,
    source: Path | None,
    size: int | None = None,
    known: Facts | None = None,
    reading: Reading = index.nobody,
) -> Manifest:
    """Read every file of a folder once, store an index of them under `data_dir` and return its manifest.

    `size` is the side of the crops, 224 if not given. Raises ConfigError without a source and UserError naming what is
    wrong in it: the layout, the counts of a dataset of the catalogue, the files that are no images.
    """
    if source is None:
        raise ConfigError(_where_from(name))
    found = listing(source, test="val" if known else None)
    if known is not None:
        check_counts(found, known)
    files = index.canonical(read(found, reading))
    facts = CATALOGUE["imagenet"]
    manifest = Manifest(
        name=name,
        source=f"{source.resolve().name}, a folder of images",
        classes=_titled(found),
        size=size or facts.size,
        train=len(files.train_labels),
        test=len(files.test_labels),
        mean=facts.mean or (0.0, 0.0, 0.0),
        std=facts.std or (1.0, 1.0, 1.0),
        padding=None,
        flip=True,
        content_hash=index.content_hash(files, size or facts.size),
        lighting=facts.lighting,
        folder=str(source.resolve()),
    )
    store.save(data_dir, manifest, files)
    return manifest


def check_counts(found: Listing, known: Facts) -> None:
    """Refuse a listing that has not the numbers of classes and images of a dataset of the catalogue."""
    way_out = f"; a part of it goes by a name of its own: snapshot data prepare NAME --from {found.folder} --streamed"
    if len(found.classes) != known.classes:
        raise UserError(f"{found.folder}: {len(found.classes):,} classes, {known.title} has {known.classes:,}{way_out}")
    for split, files, expected in (("train", found.train, known.train), (found.test_split, found.test, known.test)):
        if len(files) != expected:
            raise UserError(
                f"{found.folder}: {len(files):,} images in {split}, {known.title} has {expected:,}{way_out}"
            )
    each = known.test // known.classes
    for wnid, images in sorted(Counter(found.test.values()).items()):
        if images != each:
            raise UserError(
                f"{found.folder}: {images:,} images of class {wnid} in {found.test_split}, {known.title} has {each:,}"
            )


def read(found: Listing, reading: Reading = index.nobody) -> Index:
    """Read and decode every file of a listing and return its index; UserError naming those that are no images."""
    numbers = {name: label for label, name in enumerate(found.classes)}
    digests, flaws = list[bytes](), list[str]()
    paths = [*found.train, *found.test]
    with ThreadPoolExecutor(os.cpu_count()) as pool, warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # refused all the same
        for start in range(0, len(paths), AT_ONCE):
            reading(start, len(paths))
            for digest, flaw in pool.map(_read, (found.folder / path for path in paths[start : start + AT_ONCE])):
                digests.append(digest)
                flaws += [flaw] if flaw else []
    if flaws:
        more = [f"and {len(flaws) - NAMED:,} more"] if len(flaws) > NAMED else []
        raise UserError("\n".join([*flaws[:NAMED], *more]))
    rows = np.frombuffer(b"".join(digests), dtype=np.uint8).reshape(-1, 32)
    names = np.array([os.fsencode(path) for path in paths])
    labels = np.array([numbers[of_class] for part in (found.train, found.test) for of_class in part.values()], np.int64)
    cut = len(found.train)
    return Index(names[:cut], rows[:cut], labels[:cut], names[cut:], rows[cut:], labels[cut:])


def is_large(source: Path, size: int | None) -> bool:
    """Tell whether the images of a folder would take more than `LARGE` bytes on the device, squares of side `size`.

    Without a size they are taken to be as the first one is.
    """
    if not source.is_dir():
        return False
    visible = [path for path in source.iterdir() if not path.name.startswith(".")]
    folder = visible[0] if len(visible) == 1 and visible[0].name not in SPLITS else source
    images = [image for split in SPLITS for image in _below(folder / split)]
    return len(images) * 3 * (size or _side(images)) ** 2 > LARGE


def _below(folder: Path) -> Iterator[Path]:
    """Yield the files of a split that are not hidden."""
    for top, folders, files in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        if len(Path(top).relative_to(folder).parts) > image_files.DEEPEST:
            folders.clear()  # also what ends a loop of links
        yield from (Path(top, file) for file in files if not file.startswith("."))


def _side(images: Sequence[Path]) -> int:
    try:
        with Image.open(min(images)) as image:
            return max(image.size)
    except Exception:  # no images, or a damaged one: whoever reads them says so
        return 0


def _read(path: Path) -> tuple[bytes, str | None]:
    try:
        data = image_files.file_reader(path)()
    except (OSError, ValueError) as problem:
        return b"", f"{path}: cannot be read ({getattr(problem, 'strerror', None) or problem})"
    flaw = image_files.flaw(data)
    return hashlib.sha256(data).digest(), f"{path}: cannot be read as an image ({flaw})" if flaw else None


def _titled(found: Listing) -> tuple[str, ...]:
    titles = ground_truth.titles(found.folder)
    return tuple(f"{name} {titles.get(name, '')}".strip() for name in found.classes)


def _where_from(name: str) -> str:
    return (
        f"{name} cannot be downloaded by a program: its terms must be agreed to. Fetch ILSVRC2012_img_train.tar,"
        " ILSVRC2012_img_val.tar and ILSVRC2012_devkit_t12.tar.gz from https://image-net.org/download-images, unpack"
        f" them to FOLDER/train/<wnid>, FOLDER/val and FOLDER, and type: snapshot data prepare {name} --from FOLDER"
    )
