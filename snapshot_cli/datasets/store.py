"""Store prepared datasets: a manifest and arrays of images, or an index of files; written atomically."""

from __future__ import annotations

import errno
import hashlib
import math
import mmap
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tokenize import TokenError
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from snapshot_cli.datasets import index
from snapshot_cli.datasets.catalogue import how_to_prepare
from snapshot_cli.datasets.index import ImageFiles, Index, ReadProgress
from snapshot_cli.datasets.manifest import (
    FILE_NAME,
    Manifest,
    prepared,
    read_manifest,
    refuse_control,
    require,
    to_json,
    training_examples,
)
from snapshot_cli.datasets.scratch import scratch_folder
from snapshot_cli.errors import UserError
from snapshot_cli.files import flush_folder

__all__ = [
    "Arrays", "Dataset", "Manifest", "Reordered", "canonical_order", "content_hash", "digests_of", "load", "prepared",
    "read_manifest", "save",
    "training_examples", "verify",
]  # fmt: skip

Images = NDArray[np.uint8]
Labels = NDArray[np.int64]
CHUNK = 2**20  # bytes: writing larger ones takes four times as long
BLOCK = 2**23  # bytes that are read through a mapping at a time
FULL_DISK = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True)
class Reordered:
    """Images, perhaps memory-mapped, in another order; a slice copies only its rows."""

    images: Images
    rows: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, part: slice) -> Images:
        return self.images[self.rows[part]]

    @property
    def shape(self) -> tuple[int, ...]:
        """As of an array."""
        return (len(self.rows), *self.images.shape[1:])

    @property
    def dtype(self) -> np.dtype[np.uint8]:
        """As of an array."""
        return self.images.dtype


@dataclass(frozen=True)
class OnDisk:
    """A mapped array whose slices are read from the file, because mapped pages count as memory."""

    mapped: np.memmap[Any, np.dtype[Any]]

    def __len__(self) -> int:
        return len(self.mapped)

    def __getitem__(self, part: slice) -> Images:
        return read_rows(self.mapped, np.arange(len(self))[part])

    @property
    def shape(self) -> tuple[int, ...]:
        """As of the array."""
        shape: tuple[int, ...] = self.mapped.shape
        return shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """As of the array."""
        return self.mapped.dtype


class Arrays(NamedTuple):
    """The four arrays of a dataset: images (examples, size, size, 3) uint8, labels (examples,) int64."""

    train_images: Images | Reordered | OnDisk
    train_labels: Labels
    test_images: Images | Reordered | OnDisk
    test_labels: Labels


@dataclass(frozen=True)
class Dataset:
    """A prepared dataset; the arrays are memory-mapped copy-on-write.

    The images of a streamed dataset are files.
    """

    manifest: Manifest
    train_images: Images | ImageFiles
    train_labels: Labels
    test_images: Images | ImageFiles
    test_labels: Labels


def read_rows(images: Images, rows: NDArray[np.int64]) -> Images:
    """Return some rows of images; of mapped images, the pages that are read do not stay in memory.

    They are read through the mapping: under the file's name may lie another dataset by now.
    """
    base: object = images.base
    if not isinstance(images, np.memmap) or not isinstance(base, mmap.mmap):
        return images[rows]  # an array in memory, or a part of a mapped one
    read = np.empty((len(rows), *images.shape[1:]), images.dtype)
    height = max(1, BLOCK * len(images) // images.nbytes)
    for start in range(0, len(rows), height):
        read[start : start + height] = images[rows[start : start + height]]
        if hasattr(mmap, "MADV_DONTNEED"):  # nothing is written to the mapping, which would be lost
            base.madvise(mmap.MADV_DONTNEED)
    return read


def digest_of(image: Images) -> bytes:
    """Return the sha256 of the pixels of an image."""
    return hashlib.sha256(np.ascontiguousarray(image).data).digest()


def digests_of(images: Images) -> list[bytes]:
    """Return the sha256 of the pixels of every image."""
    return [digest_of(image) for image in images]


def canonical_order(digests: Sequence[bytes], labels: Labels) -> NDArray[np.int64]:
    """Return the permutation that sorts images by label, then by the sha256 of their pixels.

    Images that tie are equal, so the sorted arrays do not depend on the order given.
    """
    return np.array(sorted(range(len(labels)), key=lambda row: (labels[row], digests[row])), dtype=np.int64)


def chunks(images: Images | Labels | Reordered | OnDisk) -> Iterator[Any]:
    """Yield images or labels in order, about `CHUNK` bytes at a time."""
    rows = max(1, CHUNK // (images.dtype.itemsize * math.prod(images.shape[1:])))
    for start in range(0, len(images), rows):
        yield images[start : start + rows]


def content_hash(arrays: Arrays) -> str:
    """Return the sha256 over the shapes and bytes of the four arrays, in canonical order."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.newbyteorder('<').str} {array.shape}\n".encode())
        for part in chunks(array):
            digest.update(np.ascontiguousarray(part, dtype=array.dtype.newbyteorder("<")).data.cast("B"))
    return digest.hexdigest()


def load(data_dir: Path, name: str) -> Dataset:
    """Open a prepared dataset; UserError with the command to type if it is missing or damaged."""
    manifest = require(data_dir, name)
    folder, kind = data_dir / name, Arrays if manifest.folder is None else Index
    arrays = kind(*(_open(folder / _file_name(field)) for field in kind._fields))
    counts = [len(array) for array in arrays]
    half = len(counts) // 2
    if counts != [manifest.train] * half + [manifest.test] * half:
        raise _damaged(
            folder,
            f"the manifest counts {manifest.train} training and {manifest.test} test images, the arrays have"
            f" {counts[0]} ({counts[half - 1]} labels) and {counts[half]} ({counts[-1]} labels)",
        )
    if isinstance(arrays, Arrays):
        _check_kinds(folder, manifest, arrays)
        train, test = arrays.train_images, arrays.test_images
        assert not isinstance(train, Reordered | OnDisk)
        assert not isinstance(test, Reordered | OnDisk)
        return Dataset(manifest, train, arrays.train_labels, test, arrays.test_labels)
    train_files, test_files = (ImageFiles(Path(manifest.folder or ""), *part) for part in (arrays[:2], arrays[3:5]))
    return Dataset(manifest, train_files, arrays.train_labels, test_files, arrays.test_labels)


def verify(data_dir: Path, name: str) -> Manifest:
    """Compare every byte of a prepared dataset with its manifest; UserError naming the difference.

    Of a streamed dataset this is the index; files are compared with it when they are read.
    """
    dataset = load(data_dir, name)
    manifest = dataset.manifest
    content_hash = _content_hash(dataset)
    if content_hash != manifest.content_hash:
        raise _damaged(
            data_dir / name, f"the manifest's content hash is {manifest.content_hash}, the arrays' is {content_hash}"
        )
    return manifest


def verify_files(data_dir: Path, name: str, progress: ReadProgress = index.ignore_progress) -> None:
    """Compare the files of a streamed dataset with its index; UserError naming one that differs. Else do nothing."""
    dataset = load(data_dir, name)
    for images in (dataset.train_images, dataset.test_images):
        if isinstance(images, ImageFiles):
            index.verify_files(images, progress)


def save(data_dir: Path, manifest: Manifest, arrays: Arrays | Index) -> Path:
    """Write a dataset to a temporary folder and rename that; an older one of that name is replaced. Return its folder.

    Raises UserError if something else has the name, for class names with control characters, and for a full disk.
    """
    try:
        refuse_control(manifest.classes)
    except ValueError as problem:
        raise UserError(f"{manifest.name}: {problem}; rename its folder") from None
    folder = data_dir / manifest.name
    refuse_other_content(folder)
    with _naming_full_disk(folder), scratch_folder(data_dir) as scratch:
        new = scratch / manifest.name
        new.mkdir()
        for field, array in arrays._asdict().items():
            with open(new / _file_name(field), "wb") as file:
                _write(file, array)
                _flush(file)
        with open(new / FILE_NAME, "w", encoding="utf-8") as text:
            text.write(to_json(manifest))
            _flush(text)
        flush_folder(new)
        _move(new, folder, scratch)
    return folder


def refuse_other_content(folder: Path) -> None:
    """Raise UserError if a folder exists that is not a prepared dataset."""
    if folder.exists() and not (folder / FILE_NAME).is_file():
        raise UserError(f"{folder} exists and is not a prepared dataset; move it away or choose another name")


@contextmanager
def _naming_full_disk(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as problem:
        if problem.errno in FULL_DISK:
            raise full_disk(folder) from problem
        raise


def full_disk(folder: Path) -> UserError:
    """Return the error for a dataset that does not fit on the disk."""
    return UserError(f"{folder}: no space left on the device; make room, or give another --data-dir")


def _write(file: BinaryIO, array: NDArray[Any] | Reordered) -> None:
    """Write an array as np.save does, a chunk at a time; np.save raises errors without a number."""
    header = {"descr": np.lib.format.dtype_to_descr(array.dtype), "fortran_order": False, "shape": array.shape}
    np.lib.format.write_array_header_1_0(file, header)
    for part in chunks(array):
        file.write(np.ascontiguousarray(part).data)


def same_but_source(one: Manifest, other: Manifest) -> bool:
    """Return whether two manifests describe the same dataset, whatever its source."""
    return replace(one, source="", skipped=0) == replace(other, source="", skipped=0)


def _file_name(field: str) -> str:
    return field.replace("_", "-") + ".npy"


def _content_hash(dataset: Dataset) -> str:
    train, test = dataset.train_images, dataset.test_images
    if isinstance(train, ImageFiles) and isinstance(test, ImageFiles):
        files = Index(
            train.paths, train.digests, dataset.train_labels, test.paths, test.digests, dataset.test_labels
        )  # fmt: skip
        return index.content_hash(files, dataset.manifest.size)
    assert not isinstance(train, ImageFiles)
    assert not isinstance(test, ImageFiles)
    parts = (OnDisk(images) if isinstance(images, np.memmap) else images for images in (train, test))
    return content_hash(Arrays(next(parts), dataset.train_labels, next(parts), dataset.test_labels))


def _check_kinds(folder: Path, manifest: Manifest, arrays: Arrays) -> None:
    """Raise UserError for arrays of a wrong type or shape, and labels without a class."""
    pixels = (manifest.size, manifest.size, 3)
    for images, labels in ((arrays.train_images, arrays.train_labels), (arrays.test_images, arrays.test_labels)):
        if images.dtype != np.uint8 or images.shape[1:] != pixels:
            raise _damaged(folder, f"expected images uint8 of {pixels}, they are {images.dtype} of {images.shape[1:]}")
        if (
            labels.dtype != np.int64
            or labels.ndim != 1
            or not 0 <= labels.min() <= labels.max() < len(manifest.classes)
        ):
            raise _damaged(folder, f"expected labels int64 from 0 to {len(manifest.classes) - 1}")


def _open(path: Path) -> NDArray[Any]:
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="c")  # torch warns of arrays that it may not write to
        len(array)
    except (OSError, ValueError, EOFError, TypeError, OverflowError, SyntaxError, TokenError, MemoryError) as problem:
        raise _damaged(path.parent, f"{path.name} cannot be read") from problem
    return array


def _damaged(folder: Path, what: str) -> UserError:
    return UserError(f"{folder}: {what}; prepare it anew: {how_to_prepare(folder.name)}")


def _move(new: Path, folder: Path, scratch: Path) -> None:
    """Rename `new` to `folder`; an existing dataset, perhaps of a concurrent process, moves to `scratch`."""
    while True:
        try:
            os.rename(new, folder)
        except OSError as problem:
            if problem.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):  # the last: a link to a folder
                raise
        else:
            break
        with suppress(FileNotFoundError):
            os.rename(folder, Path(tempfile.mkdtemp(dir=scratch)) / folder.name)
    flush_folder(folder.parent)


def _flush(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())
