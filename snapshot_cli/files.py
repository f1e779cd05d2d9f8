"""Write files whole or not at all, find files, and delete what killed writers left."""

from __future__ import annotations

import errno
import fnmatch
import hashlib
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

UNSUPPORTED = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP}  # by the file system
RANDOM_BYTES = 8
LEFTOVER = re.compile(rf"\..+\.([0-9]+|[0-9a-f]{{{2 * RANDOM_BYTES}}})\.tmp")
"""Temporary names; those of earlier versions have a process id."""


def write_atomically(path: Path, content: bytes | memoryview) -> None:
    """Write a temporary file next to `path`, flush it to the disk and rename it: `path` is old or new, never half.

    The temporary name is random: processes of several hosts or containers may share the folder and a process id. Links
    are followed; pipes and devices are written to, not replaced. Raises OSError, which names `path`.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        path.write_bytes(content)
        return
    path = Path(os.path.realpath(path)) if path.is_symlink() else path
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(RANDOM_BYTES)}.tmp")
    try:
        make_folder(path.parent)
        file = temporary.open("xb")
        try:
            with file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        flush_folder(path.parent)
    except OSError as error:
        named = error.filename if error.filename not in (None, str(temporary)) else str(path)
        raise OSError(error.errno, error.strerror or str(error), named) from error


def make_folder(path: Path) -> None:
    """Create a folder and its parents, and flush their names to the disk."""
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(exist_ok=True)
    flush_folder(path.parent)


def flush_folder(path: Path) -> None:
    """Flush the names in a folder to the disk, where its file system can: SMB shares and some FUSE ones cannot."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
    finally:
        os.close(descriptor)


def remove_leftovers(folder: Path) -> None:
    """Delete temporary files that killed processes left in a folder and below."""
    for path in folder.rglob(".*.tmp"):
        if LEFTOVER.fullmatch(path.name):
            path.unlink(missing_ok=True)


def find(folder: Path, *patterns: str) -> Iterator[Path]:
    """Yield the files below a folder whose name fits a pattern, also behind links to folders; every folder once."""
    visited = set()
    for path, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(path)
        if real in visited:
            folders.clear()
            continue
        visited.add(real)
        yield from (Path(path, name) for pattern in patterns for name in fnmatch.filter(names, pattern))


def sha256(path: Path) -> str:
    """Return the sha256 of a file in hex, in bounded memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
