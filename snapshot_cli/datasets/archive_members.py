"""Read named files out of a tar archive or a folder into memory; nothing is written to disk."""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from snapshot_cli.errors import UserError


def members(path: Path, most: Mapping[str, int]) -> dict[str, bytes]:
    """Return the files of an archive that `most` names, with the largest size in bytes that they may have.

    Raises UserError, naming file and member, for one that has more, and for an archive that cannot be read.
    """
    return _of_folder(path, most) if path.is_dir() else _of_archive(path, most)


def _of_folder(path: Path, most: Mapping[str, int]) -> dict[str, bytes]:
    contents = {}
    for name in most:
        file = path / name
        if file.is_file():
            _refuse_large(path, name, file.stat().st_size, most[name])
            contents[name] = file.read_bytes()
    return contents


def _of_archive(path: Path, most: Mapping[str, int]) -> dict[str, bytes]:
    contents: dict[str, bytes] = {}
    place = "its first member"
    try:
        with tarfile.open(path, "r:*") as archive:
            for member in archive:
                name = PurePosixPath(member.name).name
                place = f"member {member.name}"
                if not member.isfile() or name not in most:
                    continue
                _refuse_large(path, member.name, member.size, most[name])
                content = archive.extractfile(member)
                assert content is not None  # a regular file has content
                contents[name] = content.read()
    except (tarfile.TarError, EOFError, zlib.error, OSError) as problem:
        raise UserError(
            f"{path}: cannot be read beyond {place}: cut short, damaged or not an archive; fetch it again"
        ) from problem
    return contents


def _refuse_large(path: Path, name: str, size: int, most: int) -> None:
    if size > most:
        raise UserError(f"{path}: member {name} has {size:,} bytes, expected at most {most:,}")
