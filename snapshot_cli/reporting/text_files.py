"""The files of a table: one stem, an ending for each format."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from snapshot_cli.files import write_atomically


def write(texts: Mapping[str, str], stem: Path) -> list[Path]:
    """Write texts, by the ending of the file's name, beside one another; return the paths."""
    paths = [stem.with_name(stem.name + suffix) for suffix in texts]
    for path, text in zip(paths, texts.values(), strict=True):
        write_atomically(path, text.encode())
    return paths
