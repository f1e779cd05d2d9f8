"""Temporary folders next to the prepared datasets."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from snapshot_cli import lock
from snapshot_cli.errors import UserError
from snapshot_cli.files import make_folder

PREFIX = ".prepare-"


@contextmanager
def scratch_folder(data_dir: Path) -> Iterator[Path]:
    """Yield an empty folder in `data_dir`, deleted at the end; leftovers of killed processes are deleted first.

    Raises UserError if `data_dir` is not a folder that can be written to.
    """
    if data_dir.exists() and not data_dir.is_dir():
        raise UserError(f"{data_dir}: not a folder; give another --data-dir")
    make_folder(data_dir)
    if not os.access(data_dir, os.W_OK | os.X_OK):
        raise UserError(f"{data_dir}: cannot be written to; give another --data-dir")
    for folder in data_dir.glob(f"{PREFIX}*"):
        holder = lock.holder(folder)
        if holder is not None and holder.gone and lock.is_free(folder):
            shutil.rmtree(folder, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=PREFIX, dir=data_dir) as name, lock.hold(Path(name)):
        yield Path(name)
