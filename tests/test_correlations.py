import numpy as np
import pytest
from drawn_figures import everything_fits, titles, words

from snapshot_cli.reporting.figures import CorrelationPanel, correlation

CYCLIC = CorrelationPanel("Snapshot", np.array([[1, 0.8, 0.7], [0.8, 1, 0.9], [0.7, 0.9, 1]]))
NOCYCLE = CorrelationPanel("NoCycle", np.array([[1, 0.95], [0.95, 1]]))


def test_the_plotted_data():
    figure = correlation([CYCLIC, NOCYCLE])
    first, second, bar = figure.axes
    assert titles(figure) == ["Snapshot", "NoCycle"]
    np.testing.assert_array_equal(first.collections[0].get_array(), CYCLIC.values)
    np.testing.assert_array_equal(second.collections[0].get_array(), NOCYCLE.values)
    assert words(first) == ["1.00", "0.80", "0.70", "0.80", "1.00", "0.90", "0.70", "0.90", "1.00"]
    assert [text.get_position() for text in first.texts][:4] == [(0, 0), (1, 0), (2, 0), (0, 1)]
    assert first.yaxis_inverted()
    assert bar.get_ylabel() == "Correlation"
    assert everything_fits(figure)


def test_both_maps_have_one_scale_from_the_lowest_value_to_1():
    axes = correlation([CYCLIC, NOCYCLE]).axes
    assert [each.collections[0].get_clim() for each in axes[:2]] == [(0.7, 1.0)] * 2


def test_snapshots_count_from_1():
    first = correlation([CYCLIC]).axes[0]
    assert [label.get_text() for label in first.get_xticklabels()] == ["1", "2", "3"]
    assert [label.get_text() for label in first.get_yticklabels()] == ["1", "2", "3"]
    assert (first.get_xlabel(), first.get_ylabel()) == ("Snapshot", "Snapshot")


def test_what_is_nan_is_a_dash():
    nan = float("nan")
    first = correlation([CorrelationPanel("A", np.array([[nan, nan], [nan, 1]]))]).axes[0]
    assert words(first) == ["–", "–", "–", "1.000"]
    assert {text.get_color() for text in first.texts[:3]} == {"black"}


def test_high_correlations_have_a_third_decimal():
    first = correlation([CorrelationPanel("A", np.array([[1, 0.987], [0.987, 1]]))]).axes[0]
    assert words(first) == ["1.000", "0.987", "0.987", "1.000"]


@pytest.mark.parametrize(("value", "ink"), [(0.71, "white"), (0.8, "white"), (0.9, "black")])
def test_ink_can_be_read_on_its_cell(value, ink):
    values = np.array([[1, value, 0.7], [value, 1, 0.9], [0.7, 0.9, 1]])
    assert correlation([CorrelationPanel("A", values)]).axes[0].texts[1].get_color() == ink
