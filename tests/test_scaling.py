import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "scripts/scaling.py"
spec = importlib.util.spec_from_file_location("scaling", SCRIPT)
scaling = importlib.util.module_from_spec(spec)
spec.loader.exec_module(scaling)


def run(**changes):
    from snapshot_cli.config.experiment import Run

    values = {"dataset": "cifar10", "network": "densenet-40-12", "budget": 300, "cycles": 6, "schedule": "step"}
    return Run(**values | changes)


SEVEN = scaling.CITED * scaling.forward(*scaling.REFERENCE) / scaling.TIMED  # with it the cited run takes 7 hours


def test_the_cited_run_takes_less_than_its_seven_hours_where_transitions_average_first():
    assert list(scaling.hours([run()], scaling.CITED).values()) == [pytest.approx(6.0, abs=0.05)]
    assert list(scaling.hours([run()], SEVEN).values()) == [pytest.approx(7)]


def test_costs_count_a_shared_run_once():
    one, other = run(), run(schedule="cosine", cycle=1, budget=150)
    lines = scaling.costs({"a": [one], "b": [one, other]}, SEVEN).splitlines()
    assert lines[2:] == [
        "| a | 1 | 1 | 15 | 7 | 7 | 7 |",
        "| b | 2 | 1 | 16 | 8 | 7 | 7 |",
        "| all, shared runs once | 2 | 1 | 16 | 8 | 7 | 7 |",
    ]


def test_schedules_in_both_orders():
    lines = scaling.schedules([run(budget=75), run(budget=75, seed=1), run()], SEVEN).splitlines()
    assert lines[2:4] == ["| 1 | 10.5 | 10.5 | 10.5 |", "| 2 | 8.8 | 7.0 | 7.0 |"]


def test_the_document_shows_what_the_script_prints():
    shown = (ROOT / "docs/scaling.md").read_text().partition(scaling.START)[2].partition(scaling.END)[0]
    assert shown == scaling.text(scaling.CITED), "type: python scripts/scaling.py --write docs/scaling.md"


def test_it_writes_between_the_marks_alone(tmp_path):
    path = tmp_path / "d.md"
    path.write_text(f"before\n{scaling.START}old\n{scaling.END}after\n")
    subprocess.run([sys.executable, SCRIPT, "--write", path, "--images-per-second", "5952"], check=True)
    assert re.fullmatch(
        rf"before\n{scaling.START}\n.*With DenseNet-40 at 5,952 images/s:.*\n{scaling.END}after\n",
        path.read_text(),
        re.S,
    )
