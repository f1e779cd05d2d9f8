import numpy as np
from drawn_figures import everything_fits, names, titles

from snapshot_cli.analysis import metrics
from snapshot_cli.analysis.metrics import Reliability
from snapshot_cli.reporting.figures import CalibrationPanel, calibration

NAN = float("nan")
TABLE = Reliability(np.array([0, 1, 3, 4]), np.array([NAN, 0.4, 0.6, 0.9]), np.array([NAN, 0.0, 2 / 3, 1.0]))
PANEL = CalibrationPanel("Snapshot", "snapshot", 0.1, TABLE)


def bars(container):
    return [(bar.get_x(), bar.get_y(), bar.get_width(), bar.get_height()) for bar in container]


def test_the_plotted_data():
    figure = calibration([PANEL])
    above, below = figure.axes
    accuracy, gap = above.containers
    np.testing.assert_allclose(
        bars(accuracy), [(0.25, 0, 0.25, 0), (0.5, 0, 0.25, 2 / 3), (0.75, 0, 0.25, 1)], atol=1e-12
    )
    np.testing.assert_allclose(
        bars(gap), [(0.25, 0, 0.25, 0.4), (0.5, 2 / 3, 0.25, 0.6 - 2 / 3), (0.75, 1, 0.25, -0.1)], atol=1e-12
    )
    (shares,) = below.containers
    assert [bar.get_height() for bar in shares] == [0, 12.5, 37.5, 50]
    # 1/8 * 0.4 + 3/8 * 0.0667 + 4/8 * 0.1 = 0.125
    assert titles(figure) == ["Snapshot\nECE 12.5 %"]
    assert names(figure) == ["accuracy", "gap to the mean confidence", "accuracy = confidence"]
    assert everything_fits(figure)


def test_a_diverged_network_has_no_error_of_0():
    probabilities = np.full((4, 2), [0.6, 0.4])
    probabilities[1] = NAN
    table = metrics.reliability(probabilities, np.array([0, 0, 0, 1]))
    figure = calibration([CalibrationPanel("Snapshot", "snapshot", 0.1, table)])
    assert titles(figure) == ["Snapshot\nECE nan %"]
    assert everything_fits(figure)


def test_panels_have_one_scale_of_examples():
    flat = Reliability(np.array([2, 2, 2, 2]), np.array([0.1, 0.4, 0.6, 0.9]), np.array([0.1, 0.0, 2 / 3, 1.0]))
    figure = calibration([PANEL, CalibrationPanel("B", "single", None, flat)] * 2)
    # 2/8 * (0.4 + 0.0667 + 0.1) = 0.142
    assert titles(figure) == ["Snapshot\nECE 12.5 %", "B\nECE 14.2 %"] * 2
    above, below = figure.axes[::2], figure.axes[1::2]
    assert {axes.get_ylim() for axes in below} == {(0, 50)}
    assert {axes.get_ylim() for axes in above} == {(0, 1)}
    assert [axes.get_ylabel() for axes in above] == ["Accuracy", "", "", "Accuracy"]
    assert [axes.get_ylabel() for axes in below] == ["Examples (%)", "", "", "Examples (%)"]
    assert {axes.get_xlabel() for axes in below} == {"Confidence"}
