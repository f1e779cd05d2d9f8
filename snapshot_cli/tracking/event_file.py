"""The event file of a folder, extended while a TensorBoard reads it."""

from __future__ import annotations

import os
import re
from pathlib import Path

from snapshot_cli.files import make_folder, write_atomically

PATTERN, NAME = "events.out.tfevents.*.snapshot", "events.out.tfevents.{:010}.snapshot"


def extend(folder: Path, content: bytes) -> None:
    """Extend the event file of a folder to `content`, which begins with what is there.

    If it begins differently, as after an epoch was trained again, the file is truncated and a file with the next number
    is written: TensorBoard reads files by name and never reads a byte twice. Event files of other programs are kept.
    Raises OSError, which names the file.
    """
    make_folder(folder)
    old = sorted(folder.glob(PATTERN))
    path = old[-1] if old else folder / NAME.format(0)
    held = path.read_bytes() if old else b""
    if content.startswith(held):
        with path.open("ab") as file:
            file.write(content[len(held) :])
        return
    write_atomically(folder / NAME.format(_number(path) + 1), content)
    for old_path in old:
        os.truncate(old_path, 0)  # a TensorBoard that reads it stops for good if it is deleted


def _number(path: Path) -> int:
    match = re.search(r"\.(\d+)\.snapshot$", path.name)
    return int(match[1]) if match else 0
