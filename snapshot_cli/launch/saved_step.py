"""Read the step of a checkpoint without torch: from the opcodes of the pickle inside it, none of which is executed."""

from __future__ import annotations

import pickletools
import zipfile
import zlib
from itertools import islice
from pathlib import Path

MAX_PICKLE_BYTES = 2**24  # bytes of the pickle, which has names and sizes of tensors but not their content
PROGRESS = b"X\x08\x00\x00\x00progress"  # the opcode of a text of 8 bytes
OPCODES = 8  # up to the step: progress, iteration and its value, with the opcodes that memoize them


def saved_step(path: Path) -> int:
    """Return the step of a checkpoint; 0 if there is none or it cannot be read."""
    try:
        with zipfile.ZipFile(path) as archive:
            (entry,) = (info for info in archive.infolist() if info.filename.endswith("/data.pkl"))
            if entry.file_size > MAX_PICKLE_BYTES:
                return 0
            content = archive.read(entry)
            opcodes = pickletools.genops(content[content.rindex(PROGRESS) :])
            values = [value for opcode, value, _ in islice(opcodes, OPCODES) if not opcode.name.endswith("PUT")]
            step = values[values.index("iteration") + 1]
    except (OSError, ValueError, LookupError, RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error):
        return 0
    return step if type(step) is int and step > 0 else 0
