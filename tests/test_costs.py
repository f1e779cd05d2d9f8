from drawn_figures import everything_fits, lines, words
from matplotlib.colors import to_hex

from snapshot_cli.reporting.figures import CostCurve, cost
from snapshot_cli.reporting.figures.style import LOOKS, WIDTH

SINGLE = CostCurve("Single model", "single", None, [1], [25.9])
SNAPSHOT = CostCurve("Snapshot (α₀ = 0.2)", "snapshot", 0.2, [1], [21.9])
ENSEMBLE = CostCurve("True ensemble", "ensemble", None, [1, 2, 3], [25.9, 22.8, 21.3], ["1", "2", "3"])
REPLICAS = CostCurve("Snapshot × K", "snapshot", 0.2, [1, 2, 3], [21.9, 20.5, 19.8], ["K = 1", "K = 2", "K = 3"])


def draw(*curves, title="DenseNet-40 on CIFAR-100"):
    return cost(curves, title=title)


def test_the_plotted_data():
    figure = draw(SINGLE, SNAPSHOT, ENSEMBLE)
    (axes,) = figure.axes
    assert lines(axes) == {
        "Single model": [[1], [25.9]],
        "Snapshot (α₀ = 0.2)": [[1], [21.9]],
        "True ensemble": [[1, 2, 3], [25.9, 22.8, 21.3]],
    }
    assert to_hex(axes.get_lines()[2].get_color()) == LOOKS["ensemble"][0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("Training cost (full budgets)", "Error (%)")
    assert axes.get_xticks().tolist() == [1, 2, 3]
    assert figure.get_figwidth() == WIDTH


def test_names_stand_left_of_single_points_and_beside_lines():
    (axes,) = draw(SINGLE, SNAPSHOT, ENSEMBLE, REPLICAS).axes
    places = {text.get_text(): (text.xy, text.get_horizontalalignment()) for text in axes.texts}
    assert places["Single model"] == ((1, 25.9), "right")
    assert places["Snapshot (α₀ = 0.2)"] == ((1, 21.9), "right")
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["True ensemble", "Snapshot × K"]
    assert places["2"] == ((2, 22.8), "left")
    assert places["K = 2"] == ((2, 20.5), "left")
    assert words(axes)[:3] == ["1", "2", "3"]


def test_everything_fits():
    assert everything_fits(draw(SINGLE, SNAPSHOT, ENSEMBLE, REPLICAS))
    assert everything_fits(draw(SINGLE, SNAPSHOT))
    assert everything_fits(draw(SINGLE, SNAPSHOT, ENSEMBLE, title="Wide-ResNet-8-2 on CIFAR-10, 16×16"))


def test_an_interval():
    curve = CostCurve("Snapshot", "snapshot", 0.2, [1], [0.9], spreads=[0.1])
    (axes,) = draw(curve).axes
    heights = axes.collections[0].get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == (0.8, 1.0)


def test_a_line_without_names_has_its_own_alone():
    (axes,) = draw(CostCurve("True ensemble", "ensemble", None, [1, 2], [3.0, 2.0])).axes
    assert words(axes) == []
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["True ensemble"]


def test_names_of_points_stand_off_a_line_that_rises():
    (axes,) = draw(CostCurve("True ensemble", "ensemble", None, [1, 2, 3], [3.0, 1.0, 2.0], "abc"), SINGLE).axes
    assert {text.get_text(): text.get_verticalalignment() for text in axes.texts if text.get_text() in "abc"} == {
        "a": "bottom", "b": "top", "c": "bottom"
    }  # fmt: skip


def test_names_of_lines_lie_above_the_lines_and_within_the_axes():
    figure = draw(SINGLE, ENSEMBLE, REPLICAS)
    figure.draw_without_rendering()
    (axes,) = figure.axes
    box = axes.get_legend().get_window_extent()
    inside = axes.transData.transform([(1, 25.9)])[0]
    assert box.y0 > inside[1] or box.x0 > inside[0]
    assert box.x1 <= axes.bbox.x1 + 1
    assert box.y1 <= axes.bbox.y1 + 1


def test_costs_below_one_budget_are_not_cut_off():
    (axes,) = draw(CostCurve("Snapshot", "snapshot", 0.2, [0.5, 1], [5.0, 4.0]), SINGLE).axes
    assert axes.get_xlim()[0] < 0.5
    assert axes.get_xticks().tolist() == [1]
