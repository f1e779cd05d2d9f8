"""Read the bytes of files in folders and zips."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

MAX_BYTES = 2**29  # bytes of a file: as many pixels as Pillow reads at most, with 16 bits in each of three channels

WINDOWS = 0  # of zipfile's create_system


def file_reader(path: Path) -> Callable[[], bytes]:
    """Return a function that reads a file; it raises ValueError for a pipe, a device and a file that is too large."""

    def read() -> bytes:
        if path.exists() and not path.is_file():
            raise ValueError("a pipe or a device, not a file")
        return _of_size(path.stat().st_size, path.read_bytes)

    return read


def stream_reader(path: Path) -> Callable[[], bytes]:
    """Return a function that reads a file or a pipe; it raises ValueError for one that is too large."""

    def read() -> bytes:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        return _of_size(len(data), lambda: data)

    return read


def _of_size(size: int, read: Callable[[], bytes]) -> bytes:
    if size > MAX_BYTES:
        raise ValueError(f"{size:,} bytes, expected at most {MAX_BYTES:,}")
    return read()


def member_reader(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Callable[[], bytes]:
    """Return a function that reads a member of a zip; it raises ValueError for one that is too large."""

    def read() -> bytes:
        with archive.open(member) as file:
            return file.read(member.file_size)  # not read(), which unpacks all there is, whatever the zip says of it

    return lambda: _of_size(member.file_size, read)


def read_member(path: Path, name: str) -> bytes:
    """Return the bytes of a file in a folder or zip; OSError, KeyError or ValueError if it cannot be read."""
    if path.is_dir():
        return file_reader(path / name)()
    opened = open_zip(path)
    return member_reader(opened.archive, opened.members[name])()


class OpenZip(NamedTuple):
    """An open zip, which forked processes can read too, and its files by name."""

    archive: zipfile.ZipFile
    members: dict[str, zipfile.ZipInfo]
    """By path, with '/' as separator and without leading "./"."""
    folders: frozenset[str]
    """The listed folders; a folder with files may be missing."""


def open_zip(path: Path) -> OpenZip:
    """Open a zip and list its files; cached until the file changes."""
    status = path.stat()
    return _open_version(path, (status.st_ino, status.st_size, status.st_mtime_ns))


@lru_cache(maxsize=4)
def _open_version(path: Path, version: tuple[int, ...]) -> OpenZip:
    archive = zipfile.ZipFile(io.BufferedReader(_ForkSafeFile(path)))
    members = archive.infolist()
    slashes = any("/" in member.filename for member in members)
    names = {member_name(member, slashes=slashes): member for member in members}
    return OpenZip(
        archive,
        {name: member for name, member in names.items() if not name.endswith("/")},
        frozenset(name.rstrip("/") for name in names if name.endswith("/")),
    )


def member_name(member: zipfile.ZipInfo, *, slashes: bool) -> str:
    """Return a member's path; that of a folder ends with "/".

    Programs of Windows may separate folders by backslashes; so does any zip whose names have no `slashes`.
    """
    name = member.filename
    if member.create_system == WINDOWS or not slashes:
        name = name.replace("\\", "/")
    return name.removeprefix("./")


class _ForkSafeFile(io.RawIOBase):
    """A file with its own position; forked processes share that of a file descriptor."""

    def __init__(self, path: Path) -> None:
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        start = (0, self._position, os.fstat(self._file.fileno()).st_size)[whence]
        self._position = start + offset
        return self._position

    def readinto(self, buffer: Any, /) -> int:
        count = os.preadv(self._file.fileno(), [buffer], self._position)
        self._position += count
        return count

    def close(self) -> None:
        self._file.close()
        super().close()
