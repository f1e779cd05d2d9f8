"""Write figures as files and inline SVG; equal figures give equal bytes."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from matplotlib.backends import backend_svg  # noqa: F401 (before processes are forked, which share it)
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from PIL import Image

from snapshot_cli.files import write_atomically
from snapshot_cli.reporting.style import DPI, style

FORMATS = ("svg", "png", "pdf")
GLYPH = re.compile(r'<path id="([^"]*)" d="[^"]*" transform="scale\(0\.015625\)"/>')  # a letter's outline in an SVG
METADATA: dict[str, dict[str, Any]] = {
    "svg": {"Date": None, "Creator": None},
    "png": {"Software": None},
    "pdf": {"CreationDate": None},
}


def save(figure: Figure, path: Path) -> Path:
    """Write a figure in the format of the path's suffix, and return the path."""
    write_atomically(path, render(figure, path.suffix.removeprefix(".")))
    return path


def write_pair(svg: bytes, png: Callable[[], bytes], stem: Path) -> list[Path]:
    """Write STEM.svg and STEM.png and return the paths.

    Keeps the PNG if the SVG is unchanged: rendering a PNG takes most of the time and would give the same bytes.
    """
    vector, image = (stem.with_name(f"{stem.name}.{name}") for name in ("svg", "png"))
    if not is_current(svg, stem):
        write_atomically(image, png())
        write_atomically(vector, svg)  # last, so that a new SVG never has an old PNG
    return [vector, image]


def is_current(svg: bytes, stem: Path) -> bool:
    """Return whether STEM.svg has this content and STEM.png has the same size."""
    vector, image = (stem.with_name(f"{stem.name}.{name}") for name in ("svg", "png"))
    if not (vector.is_file() and image.is_file() and vector.read_bytes() == svg):
        return False
    with image.open("rb") as file:
        head = file.read(24)
    pixels = b"".join(round(inches * DPI).to_bytes(4, "big") for inches in svg_size(svg))
    return head.startswith(b"\x89PNG") and head[16:] == pixels


def svg_size(svg: bytes) -> tuple[float, float]:
    """Return the width and height of a matplotlib SVG in inches."""
    box = re.search(rb'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    assert box, "matplotlib writes a viewBox"
    return float(box[1]) / 72, float(box[2]) / 72


def inline_svg(svg: bytes, prefix: str) -> str:
    """Convert an SVG file to an HTML element without addresses whose ids start with the prefix.

    The ids of glyphs stay, for `share_glyphs`. The element has class `drawn` and its viewBox, but no width and height:
    the page sets them.
    """
    text = svg.decode()
    text = text[text.index("<svg") :].rstrip()
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r"\s*\n\s*", " ", text)
    head, body = text.split(">", 1)
    box = re.search(r'viewBox="[^"]*"', head)
    assert box, "matplotlib writes a viewBox"
    body = body.replace("*{stroke", ".drawn *{stroke")  # otherwise the style applies to the whole page
    body = body.replace("xlink:href=", "href=")
    glyphs = set(GLYPH.findall(body))
    body = re.sub(
        r'(\bid="|href="#|url\(#)([^")]+)',
        lambda name: name[0] if name[2] in glyphs else f"{name[1]}{prefix}-{name[2]}",
        body,
    )
    return f'<svg class="drawn" {box.group()}>{body}'


def share_glyphs(page: str) -> str:
    """Return an HTML page whose figures take their glyphs from one hidden element, as most have the same letters."""
    glyphs = {glyph[1]: glyph[0] for glyph in GLYPH.finditer(page)}
    if not glyphs:
        return page
    page = re.sub(r"<defs>\s*</defs>", "", GLYPH.sub("", page))
    hidden = '<svg width="0" height="0" style="position: absolute" aria-hidden="true"><defs>'
    return page.replace("<main>", f"{hidden}{''.join(glyphs.values())}</defs></svg>\n<main>", 1)


def render(figure: Figure, name: str) -> bytes:
    """Render a figure in a format: svg, png or pdf."""
    content = io.BytesIO()
    with style():
        if name == "png" and not _has_many_colours(figure):
            _write_palette(figure, content)
        else:
            figure.savefig(content, format=name, dpi="figure", metadata=METADATA[name])
    return content.getvalue()


def _has_many_colours(figure: Figure) -> bool:
    """Return whether a figure has photographs or a colour scale."""
    meshes = (isinstance(artist, QuadMesh) for axes in figure.axes for artist in axes.collections)
    return any(axes.images for axes in figure.axes) or any(meshes)


def _write_palette(figure: Figure, content: io.BytesIO) -> None:
    """Write a figure as a PNG with 256 colours: a third of the size, and faster."""
    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    rgba = Image.frombuffer("RGBA", canvas.get_width_height(), canvas.buffer_rgba(), "raw", "RGBA", 0, 1)
    rgb = rgba.convert("RGB")
    sample = rgb.resize((rgb.width // 2, rgb.height // 2), Image.Resampling.NEAREST)
    quantized = sample.quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    image = rgb.quantize(palette=quantized, dither=Image.Dither.NONE)
    palette = image.getpalette() or []
    background: Any = image.getpixel((0, 0))
    palette[3 * background : 3 * background + 3] = [255, 255, 255]  # quantization darkens white
    image.putpalette(palette)
    image.save(content, format="png", dpi=(figure.dpi, figure.dpi))
