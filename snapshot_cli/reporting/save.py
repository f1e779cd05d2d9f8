"""Figures as files and as inline SVG; the same figure gives the same bytes."""

from __future__ import annotations

import io
import re
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snapshot_cli.files import write_atomically
from snapshot_cli.reporting.style import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = ("svg", "png", "pdf")
METADATA: dict[str, dict[str, Any]] = {
    "svg": {"Date": None, "Creator": None},
    "png": {"Software": None},
    "pdf": {"CreationDate": None},
}
SVG: weakref.WeakKeyDictionary[Figure, bytes] = weakref.WeakKeyDictionary()  # a figure's file and its page share one


def save(figure: Figure, stem: Path) -> list[Path]:
    """Write a figure to STEM.svg and STEM.png, or to `stem` itself where it ends in a known format; return the paths.

    A PNG beside the SVG of the same figure is kept: drawing it would give the same bytes, and takes most of the time.
    """
    if stem.suffix.removeprefix(".") in FORMATS:
        _write(stem, _rendered(figure, stem.suffix.removeprefix(".")))
        return [stem]
    svg, image = (stem.with_name(f"{stem.name}.{name}") for name in ("svg", "png"))
    content = _rendered(figure, "svg")
    if not (_is(svg, content) and _has_size(image, figure)):
        _write(image, png(figure))
        _write(svg, content)  # last, so that an SVG never stands beside an older PNG
    return [svg, image]


def _is(path: Path, content: bytes) -> bool:
    return path.is_file() and path.read_bytes() == content


def _has_size(path: Path, figure: Figure) -> bool:
    """Return whether a file is a PNG with as many pixels as a figure has."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(24)
    pixels = b"".join(round(inches * figure.dpi).to_bytes(4, "big") for inches in figure.get_size_inches())
    return head.startswith(b"\x89PNG") and head[16:] == pixels


def png(figure: Figure) -> bytes:
    """Return a figure as a PNG."""
    return _rendered(figure, "png")


def inline_svg(figure: Figure, prefix: str) -> str:
    """Return a figure as an svg element for an HTML page: no address in it, and all its ids begin with the prefix.

    The element has a class `drawn` and keeps its viewBox; width and height are left to the page.
    """
    text = _rendered(figure, "svg").decode()
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


def _write(path: Path, content: bytes) -> None:
    write_atomically(path, content)


def _rendered(figure: Figure, name: str) -> bytes:
    if name == "svg" and figure in SVG:
        return SVG[figure]
    content = io.BytesIO()
    with style():
        if name == "png" and not _has_many_colours(figure):
            _write_palette(figure, content)
        else:
            figure.savefig(content, format=name, dpi="figure", metadata=METADATA[name])
    if name == "svg":
        SVG[figure] = content.getvalue()
    return content.getvalue()


def _has_many_colours(figure: Figure) -> bool:
    """Return whether a figure has photographs or a scale of colours."""
    from matplotlib.collections import QuadMesh

    meshes = (isinstance(artist, QuadMesh) for axes in figure.axes for artist in axes.collections)
    return any(axes.images for axes in figure.axes) or any(meshes)


def _write_palette(figure: Figure, content: io.BytesIO) -> None:
    """Write a figure as a PNG of 256 colours: a third of the bytes, in less time."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    drawn = Image.frombuffer("RGBA", canvas.get_width_height(), canvas.buffer_rgba(), "raw", "RGBA", 0, 1)
    colours = drawn.convert("RGB")
    sample = colours.resize((colours.width // 2, colours.height // 2), Image.Resampling.NEAREST)
    chosen = sample.quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    image = colours.quantize(palette=chosen, dither=Image.Dither.NONE)
    palette = image.getpalette() or []
    background: Any = image.getpixel((0, 0))
    palette[3 * background : 3 * background + 3] = [255, 255, 255]  # it came out a little darker
    image.putpalette(palette)
    image.save(content, format="png", dpi=(figure.dpi, figure.dpi))
