"""An index of image files, which stay in place: path, label and sha256 of every file."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from snapshot_cli.config.machine import processors
from snapshot_cli.datasets.file_bytes import read_member
from snapshot_cli.errors import UserError, reason

Paths = NDArray[np.bytes_]
"""Paths inside the folder of the images, '/' between the parts, in the file system's encoding."""
Digests = NDArray[np.uint8]
ReadProgress = Callable[[int, int], None]
"""ReadProgress callback: files read, files in all."""

AT_ONCE = 4096  # files submitted to the threads at a time


class Index(NamedTuple):
    """Hold the arrays of an index, a row a file: paths, sha256 (examples, 32) uint8, labels int64."""

    train_paths: Paths
    train_digests: Digests
    train_labels: NDArray[np.int64]
    test_paths: Paths
    test_digests: Digests
    test_labels: NDArray[np.int64]


@dataclass(frozen=True)
class ImageFiles:
    """The image files of a split; index with rows, like an array."""

    folder: Path
    paths: Paths
    digests: Digests

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, rows: NDArray[np.int64] | Sequence[int]) -> ImageFiles:
        return ImageFiles(self.folder, self.paths[rows], self.digests[rows])

    def path(self, row: int) -> Path:
        """Return the path of a file."""
        return self.folder / os.fsdecode(self.paths[row])

    def read(self, row: int) -> bytes:
        """Return the bytes of a file; UserError if they differ from the indexed ones."""
        path = self.path(row)
        try:
            data = read_member(self.folder, os.fsdecode(self.paths[row]))
        except Exception as problem:  # what zipfile raises on damaged members is a long list
            raise UserError(
                f"{path}: cannot be read ({reason(problem)}), though it was there when the dataset was prepared;"
                " put it back, or prepare the dataset again"
            ) from problem
        if hashlib.sha256(data).digest() != self.digests[row].tobytes():
            raise UserError(
                f"{path}: is not the file that was there when the dataset was prepared;"
                " put that back, or prepare the dataset again"
            )
        return data


def ignore_progress(done: int, whole: int) -> None:
    """No-op progress callback."""


def verify_files(files: ImageFiles, progress: ReadProgress = ignore_progress) -> None:
    """Read every file; UserError naming the first one that differs from the index."""
    with ThreadPoolExecutor(processors()) as pool:
        for start in range(0, len(files), AT_ONCE):
            progress(start, len(files))
            for _ in pool.map(files.read, range(start, min(start + AT_ONCE, len(files)))):
                pass


def canonical(index: Index) -> Index:
    """Return an index in canonical order, by label and sha256; names and folders of files do not matter."""
    train = _order(index.train_digests, index.train_labels)
    test = _order(index.test_digests, index.test_labels)
    return Index(
        index.train_paths[train],
        index.train_digests[train],
        index.train_labels[train],
        index.test_paths[test],
        index.test_digests[test],
        index.test_labels[test],
    )


def _order(digests: Digests, labels: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.array(sorted(range(len(labels)), key=lambda row: (labels[row], digests[row].tobytes())), np.int64)


def content_hash(index: Index, size: int) -> str:
    """Return the sha256 over the side of the crops, the contents of the files and their labels."""
    digest = hashlib.sha256(f"streamed {size}\n".encode())
    for array in (index.train_digests, index.train_labels, index.test_digests, index.test_labels):
        digest.update(f"{array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).tobytes())
    return digest.hexdigest()
