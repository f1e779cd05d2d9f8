"""A folder's one event file, which grows while a TensorBoard reads it."""

from __future__ import annotations

import os
import re
from pathlib import Path

from snapshot_cli.files import make_folder, write_atomically

PATTERN, NAME = "events.out.tfevents.*.snapshot", "events.out.tfevents.{:010}.snapshot"


def grow(folder: Path, content: bytes) -> None:
    """Make the event file of a folder hold `content`: append what is new, nothing where all is there.

    Where it holds something else, such as an epoch that was trained again, it is emptied and a file with the next
    number takes its place: TensorBoard reads files in the order of their names and never the same bytes twice. Event
    files of other programs are left alone. Raises OSError, which names the file.
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
    for each in old:
        os.truncate(each, 0)  # a TensorBoard that has it open stops for good where it is gone


def _number(path: Path) -> int:
    match = re.search(r"\.(\d+)\.snapshot$", path.name)
    return int(match[1]) if match else 0
