from itertools import pairwise

import pytest
from drawn_figures import everything_fits, lines, names, titles, words

from snapshot_cli.reporting.figures import TimePanel, over_time
from snapshot_cli.reporting.figures.style import TEXT_WIDTH, WIDTH

PANEL = TimePanel("DenseNet-40 on CIFAR-10, α₀ = 0.1", "snapshot", 0.1, (6.0, 5.0, 5.5), (6.0, 4.5, 4.0), 5.2)
SIMPLE = TimePanel("ResNet-110", "snapshot", 0.2, (6.0, 5.0, 5.5), (6.0, 4.5, 4.0), None)


def test_the_plotted_data_and_the_names_of_one_panel():
    figure = over_time([PANEL])
    (axes,) = figure.axes
    assert lines(axes) == {
        "Snapshot alone": [[1, 2, 3], [6, 5, 5.5]],
        "Ensemble of the first k": [[1, 2, 3], [6, 4.5, 4]],
        "Single model": [[0, 1], [5.2, 5.2]],
    }
    assert [line.get_label() for line in axes.get_lines() if line.is_dashed()] == ["Single model"]
    assert words(axes) == ["Snapshot alone", "Ensemble of the first k", "Single model"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("Snapshot k", "Error (%)")
    assert axes.get_xticks().tolist() == [1, 2, 3]
    assert figure.get_figwidth() == WIDTH
    assert not figure.legends
    assert everything_fits(figure)


def test_small_multiples_have_one_legend_of_all_that_is_drawn():
    figure = over_time([SIMPLE, PANEL, SIMPLE, PANEL, SIMPLE])
    assert len(figure.axes) == 5
    assert names(figure) == ["Snapshot alone", "Ensemble of the first k", "Single model"]
    assert [line.get_color() for line in figure.legends[0].get_lines()] == ["#8a8a8a", "black", "#444444"]
    assert [axes.get_lines()[1].get_color() for axes in figure.axes[:2]] == ["#d55e00", "#0072b2"]  # as everywhere
    assert figure.get_figwidth() == TEXT_WIDTH
    assert " ".join(titles(figure)[1].split()) == PANEL.title
    assert [axes.get_ylabel() for axes in figure.axes] == ["Error (%)", "", "", "", "Error (%)"]
    assert [axes.get_xlabel() for axes in figure.axes] == ["", *["Snapshot k"] * 4]


@pytest.mark.parametrize("panels", [2, 5, 14])
def test_titles_do_not_touch_those_beside_them(panels):
    panel = TimePanel("Wide-ResNet-32-4 on Tiny ImageNet, α₀ = 0.2", "snapshot", 0.2, *[(6.0, 5.0)] * 2, 5.2)
    figure = over_time([panel] * panels)
    assert everything_fits(figure)
    boxes = [axes._left_title.get_window_extent() for axes in figure.axes]
    for left, right in pairwise(boxes):
        assert left.x1 < right.x0 or right.x0 <= boxes[0].x0 + 5
