"""Read named files out of a tar archive or a folder into memory; nothing is written to disk."""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from snapshot_cli.errors import UserError


def read_members(path: Path, limits: Mapping[str, int]) -> dict[str, bytes]:
    """Return the contents of some files of an archive or folder by name; `limits` are their largest sizes in bytes.

    Absent files are left out. Raises UserError, with file and member, for a larger file and an unreadable archive.
    """
    return _read_folder(path, limits) if path.is_dir() else _read_archive(path, limits)


def _read_folder(path: Path, limits: Mapping[str, int]) -> dict[str, bytes]:
    contents = {}
    for name in limits:
        file = path / name
        if file.is_file():
            _refuse_large(path, name, file.stat().st_size, limits[name])
            contents[name] = file.read_bytes()
    return contents


def _read_archive(path: Path, limits: Mapping[str, int]) -> dict[str, bytes]:
    contents: dict[str, bytes] = {}
    place = "its first member"
    try:
        with tarfile.open(path, "r:*") as archive:
            for member in archive:
                name = PurePosixPath(member.name).name
                place = f"member {member.name}"
                if not member.isfile() or name not in limits:
                    continue
                _refuse_large(path, member.name, member.size, limits[name])
                content = archive.extractfile(member)
                assert content is not None  # a regular file has content
                contents[name] = content.read()
    except (tarfile.TarError, EOFError, zlib.error, OSError) as problem:
        raise UserError(
            f"{path}: cannot be read beyond {place}: cut short, damaged or not an archive; fetch it again"
        ) from problem
    return contents


def _refuse_large(path: Path, name: str, size: int, limit: int) -> None:
    if size > limit:
        raise UserError(f"{path}: member {name} has {size:,} bytes, expected at most {limit:,}")
