"""A figure that is laid out once, without being drawn for it."""

import io
from types import SimpleNamespace

import pytest
from matplotlib.figure import Figure
from matplotlib.patches import ConnectionStyle, Rectangle

from snapshot_cli.reporting.figures import sheet, style


def figure_of(kind):
    figure = kind(figsize=(3.4, 2.5), dpi=200, layout="constrained")
    axes = figure.add_subplot()
    axes.plot([1, 2, 3], [3, 1, 2], label="a line")
    axes.set_ylabel("Error (%)")
    axes.legend(loc="best")
    style.name_ends(axes, [style.LineEnd("first", "#0072b2", 3, 2), style.LineEnd("second", "#d55e00", 3, 2.1)])
    return figure


def saved(figure, name):
    content = io.BytesIO()
    figure.savefig(content, format=name, dpi=200)
    return content.getvalue()


def test_a_sheet_is_laid_out_as_matplotlib_does_it():
    with style.style():
        ours, theirs = figure_of(sheet.Sheet), figure_of(Figure)
        for figure in (ours, theirs):
            saved(figure, "png")
        assert ours.axes[0].get_position().bounds == pytest.approx(theirs.axes[0].get_position().bounds, abs=1e-3)


def test_a_sheet_is_laid_out_once_for_all_files():
    with style.style():
        one, other = figure_of(sheet.Sheet), figure_of(sheet.Sheet)
        first, again = saved(one, "png"), saved(one, "png")
        saved(other, "svg")
        assert first == again == saved(other, "png")


def test_a_leader_gives_the_bytes_of_matplotlibs_own(monkeypatch):
    with style.style():
        ours = saved(figure_of(sheet.Sheet), "png")
        monkeypatch.setattr(sheet, "Leader", ConnectionStyle.Arc3)
        assert ours == saved(figure_of(sheet.Sheet), "png")


def test_a_leader_begins_where_the_rectangle_of_its_text_ends():
    box = Rectangle((0, 0), 10, 10)
    line = sheet.Leader()((5, 5), (40, 5), patchA=box, patchB=None, shrinkA=0, shrinkB=0)
    assert line.vertices[0] == pytest.approx([10, 5], abs=0.01)
    assert sheet.Leader()((5, 5), (40, 5), patchA=None, patchB=None, shrinkA=0, shrinkB=0).vertices[0].tolist() == [
        5,
        5,
    ]


@pytest.mark.parametrize(("x", "y", "inside"), [(5, 5, True), (0, 10, True), (11, 5, False), (5, -1, False)])
def test_rectangle(x, y, inside):
    assert sheet._Rectangle(Rectangle((0, 0), 10, 10).get_extents()).contains(SimpleNamespace(x=x, y=y))[0] == inside
