"""Decode all image files of a folder or zip into one memory-mapped array, on all cores."""

from __future__ import annotations

import math
import multiprocessing
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from snapshot_cli.config.machine import processors
from snapshot_cli.datasets.evaluation_transform import EvaluationTransform
from snapshot_cli.datasets.file_bytes import read_member
from snapshot_cli.datasets.image_files import pixels
from snapshot_cli.datasets.index import ReadProgress, ignore_progress
from snapshot_cli.datasets.store import FULL_DISK, Images, digest_of, full_disk
from snapshot_cli.errors import UserError

PARALLEL = 200  # images: fewer are decoded faster without starting processes
CHUNK, TASKS = 250, 50  # images of a task, at most; tasks of a small folder


class Decoded(NamedTuple):
    """The sha256 of the pixels of a file, or the reason why it cannot be decoded."""

    digest: bytes
    flaw: str | None


@dataclass(frozen=True)
class Decoder:
    """Decode image files into rows of an array on disk."""

    source: Path
    array: Path
    shape: tuple[int, int, int, int]
    """Of the array: (images, side, side, 3)."""
    size: int | None
    """Average the central square to this side; None: images are squares of the array's side."""

    def __call__(self, first: int, names: Sequence[str]) -> list[Decoded]:
        """Decode some files into the rows from `first` on."""
        images = np.memmap(self.array, dtype=np.uint8, mode="r+", shape=self.shape)
        return [self._row(images, first + place, name) for place, name in enumerate(names)]

    def _row(self, images: Images, row: int, name: str) -> Decoded:
        try:
            image = crop_to_size(decode(self.source, name), f"{self.source}: {name}", self.size, self.shape[1])
        except UserError as problem:
            return Decoded(b"", str(problem))
        images[row] = image
        return Decoded(digest_of(image), None)


def decode(source: Path, name: str) -> Images:
    """Return an image in its full size; UserError if it cannot be decoded."""
    return pixels(partial(read_member, source, name), f"{source}: {name}")


def crop_to_size(image: Images, where: str, size: int | None, side: int | None) -> Images:
    """Return an image averaged to `size`, if given; else check that it is square, and of `side` if that is given.

    Raises UserError for an image of another size.
    """
    height, width = image.shape[:2]
    if size is not None:
        try:
            return EvaluationTransform(size)(image)
        except ValueError as problem:
            raise UserError(f"{where} is {problem}; give a smaller --size") from None
    if side is None and height != width:
        raise UserError(f"{where} is {width}x{height}, not a square; give --size PIXELS to crop and average")
    if side is not None and (height, width) != (side, side):
        raise UserError(
            f"{where} is {width}x{height}, the first image {side}x{side}; images of several sizes need --size PIXELS"
        )
    return image


def decode_all(
    source: Path, names: Sequence[str], array: Path, *, size: int | None, progress: ReadProgress = ignore_progress
) -> tuple[Images, list[Decoded]]:
    """Decode files into the file `array`; return it memory-mapped, and a `Decoded` per file.

    Raises UserError if no file can be decoded, if the disk is too small, and if a decoding process is killed.
    """
    shape = (len(names), *(2 * (_side(source, names, size),)), 3)
    _allocate(array, math.prod(shape))
    images = np.memmap(array, dtype=np.uint8, mode="r+", shape=shape)
    decoder, chunk = Decoder(source, array, shape, size), min(CHUNK, -(-len(names) // TASKS))
    starts = range(0, len(names), chunk)
    decoded = list[Decoded]()
    with _mapping(parallel=len(names) >= PARALLEL) as map_:
        results = map_(decoder, starts, [names[start : start + chunk] for start in starts])
        progress(0, len(names))  # starts the thread of a progress bar, which no fork may inherit
        try:
            for part in results:
                decoded += part
                progress(len(decoded), len(names))
        except BrokenProcessPool:
            raise UserError(
                f"{source}: a process that decodes images was killed, perhaps for lack of memory; close other programs"
                " and type the same command again"
            ) from None
    return images, decoded


def _allocate(array: Path, size: int) -> None:
    """Reserve the disk space of a file: on a full disk, writing to mapped memory kills the process.

    Raises UserError if there is no room for it and for the sorted copy that `store.save` writes.
    """
    folder = array.parent.parent
    free = shutil.disk_usage(folder).free
    if free < 2 * size:
        raise UserError(
            f"{folder}: {2 * size:,} bytes are needed, {free:,} are free; make room, or give another --data-dir"
        )
    with array.open("xb") as file:
        if not hasattr(os, "posix_fallocate"):  # macOS
            file.truncate(size)
            return
        try:
            os.posix_fallocate(file.fileno(), 0, size)
        except OSError as problem:
            if problem.errno in FULL_DISK:
                raise full_disk(folder) from problem
            raise OSError(problem.errno, problem.strerror, str(folder)) from problem


def _side(source: Path, names: Sequence[str], size: int | None) -> int:
    """Return the side of the array: `size` or that of the first image that can be decoded."""
    if size is not None:
        return size
    flaws = list[str]()
    for name in names:
        try:
            image = decode(source, name)
        except UserError as problem:
            flaws.append(str(problem))
        else:
            return len(crop_to_size(image, f"{source}: {name}", None, None))
    raise UserError("\n".join(flaws[:1]))


@contextmanager
def _mapping(*, parallel: bool) -> Iterator[Callable[..., Iterable[list[Decoded]]]]:
    """Yield a `map` that runs here, or in one process per core."""
    cores = processors()
    if not parallel or cores == 1:
        yield map
        return
    kind = "fork" if "fork" in multiprocessing.get_all_start_methods() else None
    pool = ProcessPoolExecutor(cores, multiprocessing.get_context(kind), initializer=_start_worker)
    try:
        yield pool.map
    finally:
        pool.shutdown(cancel_futures=True)


def _start_worker() -> None:
    """Leave Ctrl-C to the parent process, and exit when that is gone, even if it was killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_exit_with_parent, daemon=True).start()


def _exit_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
