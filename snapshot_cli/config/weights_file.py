"""Files of initial weights, identified by the sha256 of their content.

A run holds the hash alone. The path is remembered in this process, and a copy is kept in the folder of results, so that
`snapshot train RUN_DIR` finds it wherever the original went.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from snapshot_cli.errors import UserError
from snapshot_cli.files import write_atomically

PREFIX = "sha256:"
FOLDER = "weights"  # below the folder of results

_paths: dict[str, Path] = {}


@cache
def digest(path: Path) -> str:
    """Return sha256: and the hex digits of a file's content, and remember its path; OSError where it cannot be read."""
    with path.open("rb") as file:
        name = PREFIX + hashlib.file_digest(file, "sha256").hexdigest()
    _paths[name] = path.resolve()
    return name


def kept(digest: str, results: Path) -> Path:
    """Return where a copy lies below a folder of results."""
    return results / FOLDER / digest.removeprefix(PREFIX)


def path(digest: str, results: Path) -> Path:
    """Return where the file with a hash was named in this process, else where its copy lies."""
    return _paths.get(digest, kept(digest, results))


def content(digest: str, results: Path) -> bytes:
    """Return the content of the file with a hash; UserError where it is not there, or is another one by now."""
    file = path(digest, results)
    try:
        data = file.read_bytes()
    except OSError:
        raise UserError(
            f"initial_weights: {digest} is not in {results / FOLDER}; name the file: --set initial_weights=FILE"
        ) from None
    if PREFIX + hashlib.sha256(data).hexdigest() != digest:
        raise UserError(f"{file}: no longer the weights that the run starts from, which have {digest}")
    return data


def keep(digest: str, data: bytes, results: Path) -> None:
    """Keep a copy below a folder of results, once."""
    path = kept(digest, results)
    if not path.is_file():
        write_atomically(path, data)
