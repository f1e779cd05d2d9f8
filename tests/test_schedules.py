from drawn_figures import everything_fits, lines, words

from snapshot_cli.reporting.figures import RateCurve, schedule

COSINE = RateCurve("Snapshot (α₀ = 0.1)", "snapshot", 0.1, (0.5, 1, 1.5, 2), (0.1, 0.05, 0.09, 0.04), (1, 2))
STEP = RateCurve("Single model", "single", None, (0.5, 2), (0.1, 0.01))


def test_rates_and_a_dot_at_each_snapshot_before_the_restart():
    figure = schedule([COSINE, STEP], title="ResNet-8")
    (axes,) = figure.axes
    assert lines(axes) == {
        "Snapshot (α₀ = 0.1)": [[0.5, 1, 1.5, 2], [0.1, 0.05, 0.09, 0.04]],
        "_snapshots of Snapshot (α₀ = 0.1)": [[1, 2], [0.05, 0.04]],
        "Single model": [[0.5, 2], [0.1, 0.01]],
    }
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("Epochs", "Learning rate")
    assert words(axes) == ["Snapshot (α₀ = 0.1)", "Single model"]
    assert axes.get_xlim() == (0, 2)
    assert axes.get_ylim()[0] == 0
    assert everything_fits(figure)


def test_a_snapshot_between_two_places_has_the_rate_of_the_one_before():
    curve = RateCurve("A", "snapshot", 0.2, (0.5, 1, 1.5), (0.2, 0.1, 0.15), (0.4, 1.2))
    assert lines(schedule([curve], title="T").axes[0])["_snapshots of A"] == [[0.4, 1.2], [0.2, 0.1]]
