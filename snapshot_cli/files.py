"""Files that are old or new and never half: written beside, flushed, renamed; and what is left of writers that died."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file beside `path`, flush it to the disk and rename it, so that `path` is old or new and never half.

    Raises OSError, which names `path`.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        make_folder(path.parent)
        try:
            with beside.open("wb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, path)
        finally:
            beside.unlink(missing_ok=True)
        flush_folder(path.parent)
    except OSError as error:
        named = error.filename if error.filename not in (None, str(beside)) else str(path)
        raise OSError(error.errno, error.strerror or str(error), named) from error


def make_folder(path: Path) -> None:
    """Make a folder and those around it, and flush their names to the disk."""
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(exist_ok=True)
    flush_folder(path.parent)


def flush_folder(path: Path) -> None:
    """Flush the names in a folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_leftovers(folder: Path) -> None:
    """Delete what processes that were killed in the middle of `write_atomically` left in a folder and below."""
    for path in folder.rglob(".*.tmp"):
        if path.name.removesuffix(".tmp").rpartition(".")[2].isdigit():
            path.unlink(missing_ok=True)


def sha256(path: Path) -> str:
    """Return the sha256 of a file in hex, in bounded memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
