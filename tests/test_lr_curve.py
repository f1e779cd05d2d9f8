import pytest

from snapshot_cli.reporting.figures.schedule import plan_curve
from snapshot_cli.reporting.lr_curve import plot_as_text
from snapshot_cli.reporting.style import LOOKS


def test_a_planned_curve_has_every_step_of_a_short_run(tiny_run):
    curve = plan_curve(tiny_run(), 90, label="Snapshot", look=LOOKS["snapshot"])
    assert [round(6 * epoch) for epoch in curve.epochs] == list(range(1, 19))
    assert curve.lrs[0] == curve.lrs[9] == 0.1
    assert curve.snapshots == [1.5, 3]


def test_a_long_curve_has_few_places_and_both_sides_of_every_jump(tiny_run):
    curve = plan_curve(tiny_run(budget=1000, schedule="step"), 90, label="Single", look=LOOKS["single"])
    assert 600 <= len(curve.epochs) < 630
    places = [round(6 * epoch) for epoch in curve.epochs]
    assert {3000, 3001, 4500, 4501} <= set(places)


@pytest.mark.parametrize("schedule", ["cosine", "step"])
def test_characters(tiny_run, schedule):
    lines = plot_as_text(tiny_run(budget=20, schedule=schedule), 90)
    assert (
        lines
        == {
            "cosine": [
                "  0.1 ██▇▇▆▅▃▂                      ██▇▇▆▅▃▂",
                "      █████████▆▄▂                  █████████▆▄▂",
                "      ████████████▇▅▃               ████████████▇▅▃",
                "      ████████████████▅▃▁           ████████████████▅▃▁",
                "      ███████████████████▆▄▂        ███████████████████▆▄▂",
                "    0 ███████████████████████▆▅▃▂▁▁ ███████████████████████▆▅▃▂▁▁",
                "                                   ^                             ^",
                "epoch 0                                                         20",
            ],
            "step": [
                "  0.1 ██████████████████████████████",
                *["      ██████████████████████████████"] * 4,
                "    0 ██████████████████████████████▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅",
                "                                   ^                             ^",
                "epoch 0                                                         20",
            ],
        }[schedule]
    )
