import pytest
from drawn_figures import everything_fits, lines, titles, words
from matplotlib.colors import to_hex

from snapshot_cli.reporting.figures import BudgetCurve, BudgetPanel, PaperPoint, budget
from snapshot_cli.reporting.figures.style import LOOKS, TEXT_WIDTH, WIDTH

NAN = float("nan")
SNAPSHOT = BudgetCurve(
    "Snapshot (α₀ = 0.1)", "snapshot", 0.1, (60, 120), (7.3, 6.0), paper=[PaperPoint(60, 7.28, 0.05)]
)
SINGLECYCLE = BudgetCurve("SingleCycle", "singlecycle", 0.1, (60, 180), (10.4, NAN))


def test_the_plotted_data():
    figure = budget([BudgetPanel("CIFAR-10", [SNAPSHOT, SINGLECYCLE]), BudgetPanel("CIFAR-100", [SNAPSHOT])])
    first, second = figure.axes
    drawn = lines(first)
    assert drawn["Snapshot (α₀ = 0.1)"] == [[60, 120], [7.3, 6.0]]
    assert drawn["SingleCycle"][1][0] == 10.4
    assert drawn["SingleCycle"][1][1] != drawn["SingleCycle"][1][1]
    assert first.containers[0].lines[0].get_xydata().tolist() == [[60, 7.28]]
    assert list(lines(second)) == ["Snapshot (α₀ = 0.1)"]
    assert titles(figure) == ["CIFAR-10", "CIFAR-100"]
    assert first.get_xticks().tolist() == [60, 120, 180]


def test_axes_colours_and_names():
    figure = budget([BudgetPanel("CIFAR-10", [SNAPSHOT, SINGLECYCLE]), BudgetPanel("CIFAR-100", [SNAPSHOT])])
    first, second = figure.axes
    assert [(a.get_xlabel(), a.get_ylabel()) for a in (first, second)] == [
        ("Training budget B (epochs)", "Error (%)"), ("Training budget B (epochs)", "")
    ]  # fmt: skip
    assert words(first) == ["Snapshot (α₀ = 0.1)", "SingleCycle"]
    colours = {line.get_label(): to_hex(line.get_color()) for line in first.get_lines()}
    assert colours["SingleCycle"] == LOOKS["singlecycle"][0]
    assert {text.get_text(): text.xy for text in first.texts}["SingleCycle"] == (60, 10.4)
    assert everything_fits(figure)


@pytest.mark.parametrize(("panels", "width"), [(1, WIDTH), (2, TEXT_WIDTH)])
def test_one_panel_has_a_columns_width(panels, width):
    assert budget([BudgetPanel("CIFAR-10", [SNAPSHOT])] * panels).get_figwidth() == width
