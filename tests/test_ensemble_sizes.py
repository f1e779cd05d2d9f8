import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from drawn_figures import everything_fits, lines, titles
from matplotlib.colors import to_hex

from snapshot_cli.reporting.figures import Curve, PaperPoint, SizePanel, ensemble_size
from snapshot_cli.reporting.figures.style import HEIGHT, LOOKS, TEXT_WIDTH, WIDTH

NAN = float("nan")
SNAPSHOT = Curve("Snapshot (α₀ = 0.2)", "snapshot", 0.2, [24.95, 23.9, 23.05, 22.5])
TRUE = Curve("True ensemble", "ensemble", None, [25.9, 22.8, 21.25])
DROPOUT = Curve("Dropout", "dropout", None, [25.79])


def draw(*curves, single=25.9, title="DenseNet-40 on CIFAR-100"):
    return ensemble_size([SizePanel(title, curves, single)])


def test_the_plotted_data():
    (axes,) = draw(SNAPSHOT, TRUE, DROPOUT).axes
    lines = {line.get_label(): line for line in axes.get_lines()}
    assert list(lines) == ["Snapshot (α₀ = 0.2)", "True ensemble", "Dropout", "Single model"]
    np.testing.assert_array_equal(
        lines["Snapshot (α₀ = 0.2)"].get_xydata().T, [[1, 2, 3, 4], [24.95, 23.9, 23.05, 22.5]]
    )
    np.testing.assert_array_equal(lines["True ensemble"].get_xydata().T, [[1, 2, 3], [25.9, 22.8, 21.25]])
    assert lines["Dropout"].get_ydata() == [25.79, 25.79]
    assert lines["Single model"].get_ydata() == [25.9, 25.9]
    assert {name for name, line in lines.items() if line.is_dashed()} == {"Dropout", "Single model"}


def test_axes_title_and_ticks():
    figure = draw(SNAPSHOT, TRUE)
    (axes,) = figure.axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("Ensemble size m", "Error (%)")
    assert axes.get_title(loc="left") == "DenseNet-40 on CIFAR-100"
    assert axes.get_xticks().tolist() == [1, 2, 3, 4]
    assert tuple(figure.get_size_inches()) == (WIDTH, HEIGHT)
    low, high = axes.get_ylim()
    assert low < 21.25
    assert high > 25.9


def test_names_stand_at_the_ends_of_lines_in_their_colours():
    (axes,) = draw(SNAPSHOT, TRUE, DROPOUT).axes
    ends = {text.get_text(): text for text in axes.texts}
    assert {name: text.xy[1] for name, text in ends.items()} == {
        "Snapshot (α₀ = 0.2)": 22.5, "True ensemble": 21.25, "Dropout": 25.79, "Single model": 25.9
    }  # fmt: skip
    assert ends["Snapshot (α₀ = 0.2)"].xy[0] == 4
    assert ends["True ensemble"].xy[0] == 3
    assert to_hex(axes.get_lines()[0].get_color()) == LOOKS["snapshot 0.2"][0]
    assert to_hex(axes.get_lines()[1].get_color()) == LOOKS["ensemble"][0]


@pytest.mark.parametrize("curves", [1, 2, 3, 4, 5, 6])
def test_names_never_touch_and_stay_in_the_figure(curves):
    methods = [
        ("snapshot", 0.2),
        ("snapshot", 0.1),
        ("nocycle", 0.1),
        ("singlecycle", 0.1),
        ("ensemble", 0.1),
        ("dropout", 0.1),
    ]
    figure = draw(
        *[Curve(f"Snapshot (α₀ = 0.{k})", *methods[k], [5.0, 4.0 + k / 1000]) for k in range(curves)], single=4.0
    )
    figure.draw_without_rendering()
    for text in figure.axes[0].texts:
        box = super(type(text), text).get_window_extent()  # of the words, without the dotted line
        assert figure.axes[0].bbox.x1 < box.x0
        assert box.x1 <= figure.bbox.x1 + 1e-6
        assert box.y0 >= 0
        assert box.y1 <= figure.bbox.y1
    heights = sorted(text.xyann[1] for text in figure.axes[0].texts)
    assert all(b - a > 9 for a, b in pairwise(heights))


def test_what_is_nan_leaves_a_gap_and_the_name_stands_at_the_last_number():
    (axes,) = draw(
        Curve("A", "nocycle", 0.1, [5.0, NAN, 4.0, NAN]), Curve("B", "snapshot", 0.1, [NAN] * 4), single=None
    ).axes
    np.testing.assert_array_equal(axes.get_lines()[0].get_ydata(), [5.0, NAN, 4.0, NAN])
    assert [(text.get_text(), text.xy) for text in axes.texts] == [("A", (3, 4.0))]


def test_a_long_title_is_wrapped():
    (axes,) = draw(SNAPSHOT, title="DenseNet-40 on CIFAR-100 with a budget of three hundred epochs").axes
    assert axes.get_title(loc="left").count("\n") == 1


def test_intervals_over_seeds_are_a_band():
    (axes,) = draw(Curve("A", "snapshot", 0.2, [5.0, 4.0], spreads=[0.5, 0.25]), single=None).axes
    (band,) = axes.collections
    corners = {tuple(corner) for corner in band.get_paths()[0].vertices.tolist()}
    assert corners == {(1, 4.5), (1, 5.5), (2, 3.75), (2, 4.25)}


def test_the_papers_points_are_hollow_and_explained():
    paper = [PaperPoint(1, 24.95, 0.1), PaperPoint(4, 22.0)]
    (axes,) = draw(Curve("A", "snapshot", 0.2, [25.0, 24.0, 23.0, 22.4], paper=paper), single=None).axes
    (bars,) = axes.containers
    points, _, (whiskers,) = bars.lines
    assert points.get_xydata().tolist() == [[1, 24.95], [4, 22.0]]
    assert (points.get_markerfacecolor(), points.get_marker()) == ("none", LOOKS["snapshot 0.2"][1])
    np.testing.assert_allclose(whiskers.get_segments()[0], [[1, 24.85], [1, 25.05]])
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["the paper's"]
    assert draw(SNAPSHOT).axes[0].get_legend() is None


def test_panels_have_ranges_of_their_own_and_names_below_every_column():
    curve = Curve("A", "snapshot", 0.1, [5.0, 4.0])
    low = Curve("A", "snapshot", 0.2, [9.0, 3.0])
    figure = ensemble_size(
        [SizePanel("one", [curve], 4.5), SizePanel("two", [low], 4.5), SizePanel("three", [curve], None)]
    )
    _, two, three = figure.axes
    assert titles(figure) == ["one", "two", "three"]
    assert figure.get_figwidth() == TEXT_WIDTH
    assert two.get_ylim()[0] < 3 < 9 < two.get_ylim()[1] < 10
    assert three.get_ylim()[1] < 6
    assert [axes.get_xlabel() for axes in figure.axes] == ["", "Ensemble size m", "Ensemble size m"]
    assert lines(three) == {"A": [[1, 2], [5, 4]]}
    assert [axes.get_ylabel() for axes in figure.axes] == ["Error (%)", "", "Error (%)"]
    assert everything_fits(figure)


def test_drawing_leaves_pyplot_and_its_settings_alone():
    code = """
import sys
import matplotlib
from snapshot_cli.reporting.figures import Curve, SizePanel, ensemble_size
settings = lambda: {key: matplotlib.rcParams[key] for key in matplotlib.rcParams if key != "backend"}
before = settings()
ensemble_size([SizePanel("T", [Curve("A", "snapshot", 0.1, [2.0, 1.0])], 3.0)])
print(settings() == before, "matplotlib.pyplot" in sys.modules, "torch" in sys.modules)
"""
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output == "True False False\n"
