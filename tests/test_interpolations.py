import pytest
from drawn_figures import everything_fits, lines, names, titles

from snapshot_cli.reporting.figures import InterpolationPanel, interpolation

CYCLIC = InterpolationPanel("Snapshot", (0, 0.5, 1), ((6, 9, 5), (6, 7, 5)))
NOCYCLE = InterpolationPanel("NoCycle", (0, 0.5, 1), ((60, 30, 5), (5, 5, 5)))


def test_the_plotted_data():
    figure = interpolation([CYCLIC, NOCYCLE])
    assert titles(figure) == ["Snapshot", "NoCycle"]
    first, second = figure.axes
    assert lines(first) == {"Snapshot 1": [[0, 0.5, 1], [6, 9, 5]], "Snapshot 2": [[0, 0.5, 1], [6, 7, 5]]}
    assert lines(second)["Snapshot 1"] == [[0, 0.5, 1], [60, 30, 5]]
    assert names(figure) == ["Snapshot 1", "Snapshot 2"]


def test_axes_have_their_own_scale():
    first, second = interpolation([CYCLIC, NOCYCLE]).axes
    assert first.get_ylim()[1] < 10
    assert second.get_ylim()[1] > 60
    assert first.get_xlim() == (0, 1)
    assert (first.get_xlabel(), first.get_ylabel(), second.get_ylabel()) == ("λ", "Test error (%)", "")
    three = interpolation([CYCLIC, NOCYCLE, CYCLIC]).axes
    assert [axes.get_xlabel() for axes in three] == ["", "λ", "λ"]


@pytest.mark.parametrize("snapshots", [1, 5, 9])
def test_every_line_looks_different_and_all_fits(snapshots):
    panel = InterpolationPanel("Snapshot", (0, 1), [(6 + k, 5) for k in range(snapshots)])
    figure = interpolation([panel])
    looks = {(line.get_color(), line.get_marker()) for line in figure.axes[0].get_lines()}
    assert len(looks) == snapshots
    assert everything_fits(figure)


def test_the_legend_is_of_the_panel_with_most_snapshots():
    one = InterpolationPanel("Snapshot", (0, 1), ((6, 5),))
    assert names(interpolation([one, CYCLIC])) == ["Snapshot 1", "Snapshot 2"]
