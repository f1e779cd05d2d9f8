import subprocess
import sys
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_rgb

from snapshot_cli.reporting.figures.style import LOOKS, counted, look, shades, spread, wrapped


@pytest.mark.parametrize(
    ("positions", "moved"),
    [
        ([], []),
        ([5], [5]),
        ([50, 10, 30], [50, 10, 30]),
        ([50, 50], [45, 55]),
        ([50, 54, 90], [47, 57, 90]),
        ([60, 50, 50], [63 + 1 / 3, 43 + 1 / 3, 53 + 1 / 3]),
        ([0, 1], [0, 10]),
        ([100, 99, 99], [100, 80, 90]),
        ([-20, 120], [0, 100]),
    ],
)
def test_spread_by_hand(positions, moved):
    assert spread(positions, gap=10, low=0, high=100) == pytest.approx(moved)


def test_what_cannot_fit_starts_at_the_bottom():
    assert spread([1, 2, 3], gap=10, low=0, high=15) == pytest.approx([0, 10, 20])


@given(st.lists(st.floats(-50, 150), max_size=8))
def test_spread_keeps_order_distance_and_bounds(positions):
    moved = spread(positions, gap=10, low=0, high=100)
    ordered = [m for _, m in sorted(zip(positions, moved, strict=True))]
    assert all(b - a >= 10 - 1e-6 for a, b in pairwise(ordered))
    assert all(-1e-6 <= m <= 100 + 1e-6 for m in moved)


def test_every_method_has_a_colour_and_a_marker_of_its_own():
    assert len({colour for colour, _ in LOOKS.values()}) == len({marker for _, marker in LOOKS.values()}) == len(LOOKS)
    assert look("snapshot", 0.1) == LOOKS["snapshot 0.1"]
    assert look("snapshot", 0.2) == LOOKS["snapshot 0.2"]
    assert look("snapshot", 0.05) == LOOKS["snapshot"]
    assert look("nocycle", 0.1) == LOOKS["nocycle"]
    assert look("snapshot with dropout", 0.2) == (LOOKS["snapshot 0.2"][0], "v")
    assert look("single with dropout with stochastic depth", 0.2) == (LOOKS["single"][0], "*")


@pytest.mark.parametrize(
    ("count", "ticks"), [(1, [1]), (6, [1, 2, 3, 4, 5, 6]), (12, [*range(1, 13)]), (20, [*range(1, 21, 2)])]
)
def test_an_axis_that_counts_has_as_many_ticks_as_there_is_room_for(count, ticks):
    assert list(counted(count)) == ticks


def test_titles_break_between_words_but_not_within_equations():
    title = "DenseNet-40 on CIFAR-100 at α₀ = 0.2"
    assert wrapped(title, 1).split("\n") == ["DenseNet-40 on CIFAR-100 at α₀\xa0=\xa00.2"]
    assert wrapped(title, 4).split("\n") == ["DenseNet-40 on", "CIFAR-100 at", "α₀\xa0=\xa00.2"]


def test_shades_go_from_dark_to_light():
    light = [sum(to_rgb(shade)) for shade in shades(6)]
    assert len(set(light)) == 6
    assert light[0] < light[2] < light[5]
    assert shades(1) == shades(6)[:1]


def test_importing_figures_and_tables_loads_no_heavy_library():
    code = """
import sys
import snapshot_cli.reporting.figures, snapshot_cli.reporting.tables, snapshot_cli.analysis.statistics
import snapshot_cli.analysis.ensembles, snapshot_cli.analysis.paper
print(sorted({"torch", "matplotlib", "pandas", "scipy"} & set(sys.modules)))
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
