"""Figures to files and to inline SVG; the same figure gives the same bytes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from snapshot_cli.reporting.figures.style import style
from snapshot_cli.run_directory import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = ("svg", "png", "pdf")
METADATA = {"svg": {"Date": None, "Creator": None}, "png": {"Software": None}, "pdf": {"CreationDate": None}}


def save(figure: Figure, stem: Path, formats: Sequence[str] = ("svg", "png")) -> list[Path]:
    """Write a figure to STEM.svg and STEM.png, or to `stem` itself where it ends in a known format; return the paths.

    The same figure gives the same bytes.
    """
    if stem.suffix.removeprefix(".") in FORMATS:
        paths = [stem]
    else:
        paths = [stem.with_name(f"{stem.name}.{name}") for name in formats]
    for path in paths:
        content = _rendered(figure, path.suffix.removeprefix("."))
        write_atomically(path, lambda file, content=content: file.write(content))  # type: ignore[misc]
    return paths


def _rendered(figure: Figure, name: str) -> bytes:
    content = io.BytesIO()
    with style():
        figure.savefig(content, format=name, dpi=200, metadata=METADATA[name])
    return content.getvalue()
