"""Files of initial weights, identified by the sha256 of their content.

A run has only the hash. This process remembers the path, and a copy is kept in the results folder, so that
`snapshot train RUN_DIR` finds the weights even if the original is gone.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from snapshot_cli.errors import UserError
from snapshot_cli.files import sha256, write_atomically

PREFIX = "sha256:"
FOLDER = "weights"  # in the results folder

_paths: dict[str, Path] = {}


@cache
def digest(path: Path) -> str:
    """Return "sha256:" and the hex digest of a file, and remember its path; OSError if it cannot be read."""
    name = PREFIX + sha256(path)
    _paths[name] = path.resolve()
    return name


def kept(digest: str, results: Path) -> Path:
    """Return the path of the copy in a results folder."""
    return results / FOLDER / digest.removeprefix(PREFIX)


def path(digest: str, results: Path) -> Path:
    """Return the path that had this hash in this process, else that of the copy."""
    return _paths.get(digest, kept(digest, results))


def content(digest: str, results: Path) -> bytes:
    """Return the content of the file with a hash; UserError if it is missing or has changed."""
    file = path(digest, results)
    try:
        data = file.read_bytes()
    except OSError:
        raise UserError(
            f"initial_weights: {digest} is not in {results / FOLDER}; name the file: --set initial_weights=FILE"
        ) from None
    if PREFIX + hashlib.sha256(data).hexdigest() != digest:
        raise UserError(f"{file}: has changed: the run's initial weights have {digest}")
    return data


def keep(digest: str, data: bytes, results: Path) -> None:
    """Keep a copy in a results folder, once."""
    path = kept(digest, results)
    if not path.is_file():
        write_atomically(path, data)
