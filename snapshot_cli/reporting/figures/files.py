"""Figures to files and to inline SVG; the same figure gives the same bytes."""

from __future__ import annotations

import io
import re
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from snapshot_cli.files import write_atomically
from snapshot_cli.reporting.figures.style import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = ("svg", "png", "pdf")
METADATA = {"svg": {"Date": None, "Creator": None}, "png": {"Software": None}, "pdf": {"CreationDate": None}}
SVG: weakref.WeakKeyDictionary[Figure, bytes] = weakref.WeakKeyDictionary()  # a figure's file and its page share one


def save(figure: Figure, stem: Path, formats: Sequence[str] = ("svg", "png")) -> list[Path]:
    """Write a figure to STEM.svg and STEM.png, or to `stem` itself where it ends in a known format; return the paths.

    The same figure gives the same bytes.
    """
    if stem.suffix.removeprefix(".") in FORMATS:
        paths = [stem]
    else:
        paths = [stem.with_name(f"{stem.name}.{name}") for name in formats]
    for path in paths:
        write_atomically(path, _rendered(figure, path.suffix.removeprefix(".")))
    return paths


def png(figure: Figure) -> bytes:
    """Return a figure as a PNG, the bytes that `save` writes."""
    return _rendered(figure, "png")


def inline_svg(figure: Figure, prefix: str) -> str:
    """Return a figure as an svg element for an HTML page: no address in it, and all its ids begin with the prefix.

    The element has a class `drawn` and keeps its viewBox; width and height are left to the page.
    """
    text = (SVG.get(figure) or _rendered(figure, "svg")).decode()
    text = text[text.index("<svg") :].rstrip()
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->\n?", "", text, flags=re.DOTALL)
    head, body = text.split(">", 1)
    box = re.search(r'viewBox="[^"]*"', head)
    assert box, "matplotlib writes a viewBox"
    body = body.replace("*{stroke", ".drawn *{stroke")  # else the style would be the whole page's
    body = re.sub(r'\bid="', f'id="{prefix}-', body)
    body = body.replace("xlink:href=", "href=")
    body = re.sub(r'href="#', f'href="#{prefix}-', body)
    body = re.sub(r"url\(#", f"url(#{prefix}-", body)
    return f'<svg class="drawn" {box.group()}>{body}'


def _rendered(figure: Figure, name: str) -> bytes:
    content = io.BytesIO()
    with style():
        figure.savefig(content, format=name, dpi="figure", metadata=METADATA[name])
    if name == "svg":
        SVG[figure] = content.getvalue()
    return content.getvalue()
