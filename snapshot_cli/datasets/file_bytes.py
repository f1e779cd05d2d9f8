"""Read the bytes of files in folders and zips."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

LARGEST = 2**29  # bytes of a file: as many pixels as Pillow reads at most, with 16 bits in each of three channels


def file_reader(path: Path) -> Callable[[], bytes]:
    """Return what reads a file; it raises ValueError for a pipe, a device and a file that is too large."""

    def read() -> bytes:
        if path.exists() and not path.is_file():
            raise ValueError("a pipe or a device, not a file")
        return _of_size(path.stat().st_size, path.read_bytes)

    return read


def stream_reader(path: Path) -> Callable[[], bytes]:
    """Return what reads a file or a pipe that somebody has named; it raises ValueError for what is too large."""

    def read() -> bytes:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
        return _of_size(len(data), lambda: data)

    return read


def _of_size(size: int, read: Callable[[], bytes]) -> bytes:
    if size > LARGEST:
        raise ValueError(f"{size:,} bytes, expected at most {LARGEST:,}")
    return read()


def member_reader(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Callable[[], bytes]:
    """Return what reads a member of a zip; it raises ValueError for one that is too large."""

    def read() -> bytes:
        with archive.open(member) as file:
            return file.read(member.file_size)  # not read(), which unpacks all there is, whatever the zip says of it

    return lambda: _of_size(member.file_size, read)


def read_member(path: Path, name: str) -> bytes:
    """Return the bytes of a file in a folder or zip; OSError, KeyError or ValueError where it cannot be read."""
    if path.is_dir():
        return file_reader(path / name)()
    status = path.stat()
    archive = _open_zip(path, (os.getpid(), status.st_ino, status.st_size, status.st_mtime_ns))
    return member_reader(archive, archive.getinfo(name))()


@lru_cache(maxsize=4)
def _open_zip(path: Path, version: tuple[int, ...]) -> zipfile.ZipFile:
    """Return an open zip, once for each version of it and process: inherited ones would share a file position."""
    return zipfile.ZipFile(path)
