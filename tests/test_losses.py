import math

import pytest
from drawn_figures import everything_fits, lines, words

from snapshot_cli.reporting.figures import LossCurve, RateCurve, training_loss

RATES = [
    RateCurve("Single model", "single", None, (1, 2, 3, 4), (0.1, 0.1, 0.01, 0.001)),
    RateCurve("Snapshot (α₀ = 0.1)", "snapshot", 0.1, (1, 2, 3, 4), (0.1, 0.0, 0.1, 0.0), (2, 4)),
]
LOSSES = [
    LossCurve("Single model", "single", None, (1, 2, 3, 4), (2.0, 1.0, 0.01, 0.0)),
    LossCurve("Snapshot (α₀ = 0.1)", "snapshot", 0.1, (1, 2, 3, 4), (1.5, 0.02, 0.5, 0.001)),
]


def draw():
    return training_loss(LOSSES, RATES, restarts=[2, 4], title="ResNet-8 on Digits")


def test_the_plotted_losses_and_rates():
    above, below = draw().axes
    drawn = lines(above)
    assert drawn["Snapshot (α₀ = 0.1)"] == [[1, 2, 3, 4], [1.5, 0.02, 0.5, 0.001]]
    assert drawn["Single model"][1][:3] == [2.0, 1.0, 0.01]
    assert math.isnan(drawn["Single model"][1][3])  # 0 has no place on a log axis
    assert lines(below)["Single model"] == [[1, 2, 3, 4], [0.1, 0.1, 0.01, 0.001]]
    assert lines(below)["_snapshots of Snapshot (α₀ = 0.1)"] == [[2, 4], [0, 0]]


def test_axes():
    figure = draw()
    above, below = figure.axes
    assert (above.get_yscale(), above.get_ylabel()) == ("log", "Training loss (nats)")
    assert (below.get_xlabel(), below.get_ylabel()) == ("Epochs", "Learning rate")
    assert above.get_xlim() == below.get_xlim() == (0, 4)
    assert above.get_shared_x_axes().joined(above, below)
    assert everything_fits(figure)


def test_restarts_are_dashed_and_named():
    above, below = draw().axes
    for axes in (above, below):
        verticals = [line for line in axes.get_lines() if line.is_dashed()]
        assert [line.get_xdata()[0] for line in verticals] == [2, 4]
    named = [(text.get_text(), text.xy[0]) for text in above.texts if text.get_text().startswith("Model")]
    assert named == [("Model 1", 2), ("Model 2", 4)]
    assert words(above)[2:] == ["Single model", "Snapshot (α₀ = 0.1)"]


def test_names_stand_at_the_height_of_the_last_loss():
    figure = draw()
    above = figure.axes[0]
    figure.draw_without_rendering()
    for text in above.texts[2:]:
        own = above.transData.transform(text.xy)[1] - above.bbox.y0
        assert abs(own - text.xyann[1] * figure.dpi / 72) < 12  # pixels


@pytest.mark.parametrize(("cycles", "first"), [(12, "Model 1"), (13, "1")])
def test_many_restarts_have_short_names(cycles, first):
    figure = training_loss(LOSSES, RATES, restarts=[4 * k / cycles for k in range(1, cycles + 1)], title="T")
    assert words(figure.axes[0])[0] == first
