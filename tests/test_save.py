import os
import re

import matplotlib
import numpy as np
import pytest
from PIL import Image

from snapshot_cli.reporting import style
from snapshot_cli.reporting.save import inline_svg, render, save, share_glyphs, svg_size, write_pair
from snapshot_cli.reporting.style import Heading


def draw(values=(5.0, 4.0)):
    with style.style():
        figure, ((axes,),) = style.panels([Heading("ResNet-8", "Digits")], names=["Snapshot"])
        axes.plot([1, 2], values, "o-", color="#0072b2")
        axes.set_ylabel("Error (%)")
        style.name_ends(axes, [style.LineEnd("Snapshot", style.LOOKS["snapshot 0.1"], 2, values[-1])])
    return figure


def write(figure, stem):
    return write_pair(render(figure, "svg"), lambda: render(figure, "png"), stem)


@pytest.mark.parametrize(("name", "start"), [("f.svg", b"<?xml"), ("f.png", b"\x89PNG"), ("f.pdf", b"%PDF")])
def test_save(tmp_path, name, start):
    assert save(draw(), tmp_path / "new" / name) == tmp_path / "new" / name
    assert [path.name for path in (tmp_path / "new").iterdir()] == [name]
    assert (tmp_path / "new" / name).read_bytes().startswith(start)


def test_a_pair_has_its_name_whole(tmp_path):
    assert [path.name for path in write(draw(), tmp_path / "snapshot-0.2")] == ["snapshot-0.2.svg", "snapshot-0.2.png"]


def test_the_same_figure_gives_the_same_bytes(tmp_path):
    names = ("f.svg", "f.png", "f.pdf")
    first = [save(draw(), tmp_path / name).read_bytes() for name in names]
    with matplotlib.rc_context({"axes.facecolor": "red", "font.size": 20, "svg.hashsalt": None}):
        second = [save(draw(), tmp_path / name).read_bytes() for name in names]
    assert first == second
    assert b"<text" not in first[0]


def test_a_png_has_400_pixels_an_inch_and_the_figures_colours(tmp_path):
    figure = draw()
    path = save(figure, tmp_path / "a.png")
    assert svg_size(render(figure, "svg")) == pytest.approx(figure.get_size_inches(), abs=1e-4)
    with Image.open(path) as image:
        assert image.size == tuple(np.rint(400 * figure.get_size_inches()).astype(int))
        pixels = np.asarray(image.convert("RGB")).reshape(-1, 3)
    assert pixels[0].tolist() == [255, 255, 255]
    assert np.abs(pixels.astype(int) - (0x00, 0x72, 0xB2)).max(axis=1).min() < 8


def test_a_png_is_drawn_again_only_where_the_svg_differs(tmp_path):
    svg, image = write(draw(), tmp_path / "a")
    os.utime(image, (1, 1))
    write(draw(), tmp_path / "a")
    assert image.stat().st_mtime == 1
    other = draw((5.0, 3.0))
    write(other, tmp_path / "a")
    assert image.read_bytes() == render(other, "png")
    image.write_bytes(b"a part of it")
    write(other, tmp_path / "a")
    assert image.read_bytes() == render(other, "png")
    image.unlink()
    write(other, tmp_path / "a")
    assert image.read_bytes() == render(other, "png")
    svg.unlink()
    write(draw(), tmp_path / "a")
    assert image.read_bytes() == render(draw(), "png")


def test_inline_svg_has_ids_of_its_own_but_for_glyphs_and_no_address():
    one, two = (inline_svg(render(draw(), "svg"), name) for name in ("one", "two"))
    ids, others = (set(re.findall(r'\bid="([^"]*)"', svg)) for svg in (one, two))
    shared = ids & others
    assert shared
    assert all(name.startswith("DejaVuSans-") for name in shared)
    assert ids - shared
    assert all(name.startswith("one-") for name in ids - shared)
    assert used(one) <= ids
    assert re.match(r'<svg class="drawn" viewBox="0 0 252 ', one)
    assert one.endswith("</svg>")
    assert "http" not in one
    assert "metadata" not in one
    assert set(re.findall(r"([^{}>]*)\{stroke", one)) == {".drawn *"}


def used(html):
    found = re.findall(r'href="#([^"]*)"', html) + re.findall(r"url\(#([^)]*)\)", html)
    assert found
    return set(found)


def test_a_page_has_every_glyph_once():
    figures = [inline_svg(render(draw(), "svg"), name) for name in ("one", "two")]
    page = share_glyphs(f"<body>\n<main>\n{figures[0]}<p>M</p>{figures[1]}\n</main>")
    ids = re.findall(r'\bid="([^"]*)"', page)
    assert len(ids) == len(set(ids))
    assert used(page) == used(figures[0]) | used(figures[1])
    assert used(page) <= set(ids)
    head, body = page.split("<main>")
    assert set(re.findall(r'\bid="([^"]*)"', head)) == set(re.findall(r'id="(DejaVuSans-[^"]*)"', figures[0]))
    assert body.count("<svg") == 2
    assert "<p>M</p>" in body


def test_a_page_without_figures_stays():
    assert share_glyphs("<main>text</main>") == "<main>text</main>"
