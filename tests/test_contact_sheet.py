import numpy as np
import pytest
from PIL import Image

from snapshot_cli.reporting.contact_sheet import Example, draw
from snapshot_cli.reporting.save import save

COLOURS = [(200, 0, 0), (0, 200, 0), (0, 0, 200)]


def flat(colour):
    return np.full((4, 4, 3), colour, dtype=np.uint8)


def example(label="a"):
    return Example(label, flat(COLOURS[0]), (flat(COLOURS[1]), flat(COLOURS[2])))


def colours_along(path, row):
    """Return the saturated colours met in a row of pixels, in order, each run once."""
    pixels = np.asarray(Image.open(path).convert("RGB"))[row]
    met = [tuple(int(v) for v in pixel) for pixel in pixels if tuple(pixel) in COLOURS]
    return [colour for k, colour in enumerate(met) if not k or met[k - 1] != colour]


@pytest.mark.parametrize(("examples", "blocks", "rows"), [(1, 1, 1), (2, 2, 1), (3, 3, 1), (7, 3, 3)])
def test_an_image_stands_before_its_versions_in_blocks(tmp_path, examples, blocks, rows):
    path = tmp_path / "sheet.png"
    save(draw([example(str(k)) for k in range(examples)], title="t"), path)
    with Image.open(path) as sheet:
        height = sheet.height
    assert height == round(200 * (0.65 + rows * 0.55))
    assert colours_along(path, round(200 * (0.55 + 0.55 / 2))) == COLOURS * blocks


def test_pixels_are_drawn_as_they_are(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    save(draw([Example("a", image, ())], title="t"), tmp_path / "a.png")
    drawn = np.asarray(Image.open(tmp_path / "a.png").convert("RGB")).reshape(-1, 3)
    assert {tuple(pixel) for pixel in image.reshape(-1, 3).tolist()} <= {tuple(pixel) for pixel in drawn.tolist()}


def test_labels_and_title_are_written(tmp_path, monkeypatch):
    monkeypatch.setattr("snapshot_cli.reporting.style.STYLE", {"svg.fonttype": "none"})
    save(draw([example("n01 gold & fish")], title="tiny: 1 of 2"), tmp_path / "a.svg")
    text = (tmp_path / "a.svg").read_text()
    for words in ("n01 gold &amp; fish", "tiny: 1 of 2", "stored", "augmented"):
        assert words in text


def test_labels_and_title_are_no_formulas(tmp_path):
    save(draw([example("$\\bad{$")], title="$\\worse{$"), tmp_path / "a.png")
