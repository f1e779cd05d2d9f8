import re

import matplotlib
import numpy as np
import pytest

from snapshot_cli.analysis.metrics import Reliability
from snapshot_cli.reporting import figures
from snapshot_cli.reporting.figures import Curve, SizePanel, ensemble_size, inline_svg, save


def draw():
    curves = [Curve("Snapshot (α₀ = 0.2)", "snapshot", 0.2, [5.0, 4.0]), Curve("A", "ensemble", None, [5.0, 3.0])]
    return ensemble_size([SizePanel("ResNet-8", curves, 5.5)])


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("figure", ["figure.svg", "figure.png"]),
        ("snapshot-0.2", ["snapshot-0.2.svg", "snapshot-0.2.png"]),
        ("figure.svg", ["figure.svg"]),
        ("figure.pdf", ["figure.pdf"]),
    ],
)
def test_save(tmp_path, name, written):
    paths = save(draw(), tmp_path / "new" / name)
    assert [path.name for path in paths] == written
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == sorted(written)
    starts = {".svg": b"<?xml", ".png": b"\x89PNG", ".pdf": b"%PDF"}
    assert all(path.read_bytes().startswith(starts[path.suffix]) for path in paths)


def test_the_same_figure_gives_the_same_bytes(tmp_path):
    first = save(draw(), tmp_path / "a", ("svg", "png", "pdf"))
    with matplotlib.rc_context({"axes.facecolor": "red", "font.size": 20, "svg.hashsalt": None}):
        second = save(draw(), tmp_path / "b", ("svg", "png", "pdf"))
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    assert b"<text" not in first[0].read_bytes()


def test_inline_svg_has_ids_of_its_own_and_no_address():
    one, two = inline_svg(draw(), "one"), inline_svg(draw(), "two")
    ids = re.findall(r'id="([^"]*)"', one)
    assert ids
    assert all(name.startswith("one-") for name in ids)
    assert not set(ids) & set(re.findall(r'id="([^"]*)"', two))
    used = re.findall(r'href="#([^"]*)"', one) + re.findall(r"url\(#([^)]*)\)", one)
    assert used
    assert set(used) <= set(ids)
    assert re.match(r'<svg class="drawn" viewBox="0 0 244.8 180">', one)
    assert one.endswith("</svg>")
    assert "http" not in one
    assert "metadata" not in one
    assert set(re.findall(r"([^{}>]*)\{stroke", one)) == {".drawn *"}


def test_inline_svg_gives_the_same_text():
    assert inline_svg(draw(), "s1") == inline_svg(draw(), "s1")


RATES = figures.RateCurve("Snapshot", "snapshot", 0.1, (1, 2), (0.1, 0.05), (2,))
LOSSES = figures.LossCurve("Snapshot", "snapshot", 0.1, (1, 2), (1.0, 0.5))
BUDGETS = figures.BudgetCurve(
    "Snapshot", "snapshot", 0.1, (1, 2), (5.0, 4.0), (0.1, 0.1), [figures.PaperPoint(1, 5, 0.1)]
)
BINS = Reliability(np.array([1, 3]), np.array([0.4, 0.9]), np.array([0.5, 0.8]))
EVERY_KIND = {
    "schedule": lambda: figures.schedule([RATES], title="T"),
    "training_loss": lambda: figures.training_loss([LOSSES], [RATES], restarts=[1, 2], title="T"),
    "budget": lambda: figures.budget([figures.BudgetPanel("T", [BUDGETS])]),
    "interpolation": lambda: figures.interpolation([figures.InterpolationPanel("T", (0, 1), ((5, 4), (4, 4)))]),
    "correlation": lambda: figures.correlation([figures.CorrelationPanel("T", np.array([[1, 0.5], [0.5, 1]]))]),
    "over_time": lambda: figures.over_time([figures.TimePanel("T", "snapshot", 0.1, (5, 4), (5, 3), 4.5)] * 2),
    "calibration": lambda: figures.calibration([figures.CalibrationPanel("T", "single", None, BINS)]),
    "cost": lambda: figures.cost([figures.CostCurve("Single", "single", None, (1,), (5,))], title="T"),
}


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_every_kind_of_figure_gives_the_same_bytes_and_can_stand_in_a_page(kind, tmp_path):
    first, second = (save(EVERY_KIND[kind](), tmp_path / name, ("svg",))[0].read_bytes() for name in "ab")
    assert first == second
    text = inline_svg(EVERY_KIND[kind](), "p")
    ids = set(re.findall(r'\bid="([^"]*)"', text))
    addresses = re.findall(r'href="([^"]*)"', text) + re.findall(r"url\(([^)]*)\)", text)
    assert addresses
    assert all(a.startswith("data:image/png") or (a[0] == "#" and a[1:] in ids) for a in addresses)
    assert all(name.startswith("p-") for name in ids)
