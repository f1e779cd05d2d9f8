"""Text that a script writes between two marks of a document."""

from __future__ import annotations

from pathlib import Path


def insert(path: Path, content: str, begin: str, end: str) -> None:
    """Replace the text between the marks of a file; ValueError if a mark is missing."""
    before, _, after = _parts(path, begin, end)
    path.write_text(before + begin + content + end + after)


def inserted(path: Path, begin: str, end: str) -> str:
    """Return the text between the marks of a file; ValueError if a mark is missing."""
    return _parts(path, begin, end)[1]


def _parts(path: Path, begin: str, end: str) -> tuple[str, str, str]:
    before, begun, rest = path.read_text().partition(begin)
    between, ended, after = rest.partition(end)
    if not begun or not ended:
        raise ValueError(f"{path}: has no {begin.strip()} with {end.strip()} below it")
    return before, between, after
