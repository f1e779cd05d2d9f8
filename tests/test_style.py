import os
import subprocess
import sys
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_rgb

from snapshot_cli.config.experiment import Experiment
from snapshot_cli.reporting import style
from snapshot_cli.reporting.style import (
    LOOKS,
    Heading,
    LineEnd,
    common_heading,
    integer_ticks,
    legend_rows,
    look,
    shades,
    spread,
    wrap_title,
)


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
def test_texts_of_one_size_are_moved_apart_as_little_as_possible(positions, moved):
    assert spread(positions, [10] * len(positions), high=100) == pytest.approx(moved)


def test_a_tall_text_keeps_more_distance():
    assert spread([50, 50, 50], [10, 30, 10], high=100) == pytest.approx([30, 50, 70])


def test_what_cannot_fit_starts_at_the_bottom():
    assert spread([1, 2, 3], [10] * 3, high=15) == pytest.approx([0, 10, 20])


@given(st.lists(st.tuples(st.floats(-50, 150), st.floats(1, 12)), max_size=8))
def test_order_distance_and_bounds_are_kept(texts):
    moved = spread([place for place, _ in texts], [size for _, size in texts], high=100)
    ordered = sorted(zip((place for place, _ in texts), range(len(texts)), moved, strict=True))
    for (_, one, low), (_, two, high) in pairwise(ordered):
        assert high - low >= (texts[one][1] + texts[two][1]) / 2 - 1e-6
    assert all(-1e-6 <= place <= 100 + 1e-6 for place in moved)


def test_every_method_has_a_colour_and_a_marker_of_its_own():
    def of(method, **settings):
        return look(Experiment(dataset="digits", network="resnet-8", budget=4, cycles=2, method=method, **settings))

    assert len({each.colour for each in LOOKS.values()}) == len({each.marker for each in LOOKS.values()}) == len(LOOKS)
    assert of("snapshot") == LOOKS["snapshot 0.1"]
    assert of("snapshot", alpha0=0.2) == LOOKS["snapshot 0.2"]
    assert of("snapshot", alpha0=0.05) == LOOKS["snapshot"]
    assert of("nocycle", alpha0=0.2) == LOOKS["nocycle"]
    assert of("dropout") == of("dropout", dropout=0.2) == LOOKS["dropout"]
    plain, *combined = (
        of("snapshot", alpha0=0.2, **settings)
        for settings in ({}, {"dropout": 0.2}, {"stochastic_depth": 0.5}, {"independent_runs": 3})
    )
    assert {each.colour for each in combined} == {plain.colour}
    assert len({each.marker for each in (plain, *combined)}) == 4


@pytest.mark.parametrize(
    ("count", "ticks"), [(1, [1]), (6, [1, 2, 3, 4, 5, 6]), (12, [*range(1, 13)]), (20, [*range(1, 21, 2)])]
)
def test_an_axis_that_counts_has_as_many_ticks_as_there_is_room_for(count, ticks):
    assert list(integer_ticks(count)) == ticks


def test_titles_break_between_words_but_not_within_equations():
    title = "DenseNet-40 on CIFAR-100 at α₀ = 0.2"
    assert wrap_title(title, 4).split("\n") == ["DenseNet-40 on CIFAR-100 at α₀\xa0=\xa00.2"]
    assert wrap_title(title, 1.1).split("\n") == ["DenseNet-40 on", "CIFAR-100 at", "α₀\xa0=\xa00.2"]


def test_a_legend_has_as_few_rows_as_fit_and_splits_them_evenly():
    assert legend_rows(["a", "b"], 3.5) == [["a", "b"]]
    labels = [
        "Single model",
        "Dropout",
        "NoCycle Snapshot",
        "SingleCycle",
        "Snapshot (α₀ = 0.1)",
        "Snapshot (α₀ = 0.2)",
    ]
    assert legend_rows(labels, 7) == [labels[:3], labels[3:]]


def test_what_panels_have_in_common_is_said_once():
    one = Heading("ResNet-8", "Digits", "Snapshot", facts=("1 seed", "test images"))
    two = Heading("ResNet-14", "Digits", "Snapshot", facts=("2 seeds", "test images"))
    whole = common_heading([one, two])
    assert (whole.title, whole.facts) == ("Digits, Snapshot", ("test images",))
    assert [each.without(whole).title for each in (one, two)] == ["ResNet-8", "ResNet-14"]
    assert two.without(whole).facts == ("2 seeds",)
    assert common_heading([one, one]).title == "ResNet-8 on Digits, Snapshot"


def test_names_stand_beside_the_axes_and_do_not_touch():
    with style.style():
        ends = [LineEnd(f"Snapshot number {k} of 3, 5 seeds", LOOKS["single"], 1, 1) for k in range(3)]
        figure, ((axes,),) = style.panels([Heading("N", "D")], names=[end.label for end in ends])
        axes.plot([0, 1], [0, 1])
        style.name_ends(axes, ends)
        figure.draw_without_rendering()
    boxes = sorted((text.get_window_extent() for text in axes.texts), key=lambda box: box.y0)
    assert all(one.y1 <= two.y0 for one, two in pairwise(boxes))
    assert all(axes.bbox.x1 < box.x0 and box.x1 <= figure.bbox.x1 for box in boxes)


def test_shades_go_from_dark_to_light():
    light = [sum(to_rgb(shade)) for shade in shades(6)]
    assert len(set(light)) == 6
    assert light[0] < light[2] < light[5]
    assert shades(1) == shades(6)[:1]


def test_what_prints_in_the_terminal_loads_no_matplotlib():
    modules = "snapshot_cli.reporting.terminal, snapshot_cli.reporting.lr_curve"
    code = f"import sys, {modules}; print('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_matplotlib_says_nothing_of_a_home_that_cannot_be_written_to(tmp_path):
    code = "from snapshot_cli.reporting import style\nwith style.style(): style.panels([style.Heading()])"
    environment = os.environ | {"HOME": "/dev/null", "TMPDIR": str(tmp_path)}
    environment.pop("MPLCONFIGDIR", None)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
