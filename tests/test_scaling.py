import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "scripts/scaling.py"
sys.path.append(str(SCRIPT.parent))
spec = importlib.util.spec_from_file_location("scaling", SCRIPT)
scaling = importlib.util.module_from_spec(spec)
spec.loader.exec_module(scaling)


def run(**changes):
    from snapshot_cli.config.experiment import Run

    values = {"dataset": "cifar10", "network": "densenet-40-12", "budget": 300, "cycles": 6, "schedule": "step"}
    return Run(**values | changes)


SEVEN = (
    scaling.CITED_SPEED * scaling.count_multiply_adds(*scaling.REFERENCE) / scaling.AUTHORS_MULTIPLY_ADDS
)  # with it the cited run takes 7 hours


def test_the_cited_run_takes_less_than_its_seven_hours_where_transitions_average_first():
    assert list(scaling.hours([run()], scaling.CITED_SPEED).values()) == [pytest.approx(6.0, abs=0.05)]
    assert list(scaling.hours([run()], SEVEN).values()) == [pytest.approx(7)]


def test_costs_count_a_shared_run_once():
    one, other = run(), run(schedule="cosine", cycle=1, budget=150)
    lines = scaling.cost_table({"a": [one], "b": [one, other]}, SEVEN).splitlines()
    assert lines[2:] == [
        "| a | 1 | 300 | 15 | 7 | 7 | 7 |",
        "| b | 2 | 325 | 16 | 8 | 7 | 7 |",
        "| all, shared runs once | 2 | 325 | 16 | 8 | 7 | 7 |",
    ]


def test_schedules_in_both_orders():
    lines = scaling.schedule_table([run(budget=75), run(budget=75, seed=1), run()], SEVEN).splitlines()
    assert lines[2:4] == ["| 1 | 10.5 | 10.5 | 10.5 |", "| 2 | 8.8 | 7.0 | 7.0 |"]


def test_the_document_shows_what_the_script_prints():
    shown = scaling.marks.inserted(ROOT / "docs/scaling.md", *scaling.MARKS)
    assert shown == scaling.tables(scaling.CITED_SPEED), "type: python scripts/scaling.py --write docs/scaling.md"


def test_it_writes_between_the_marks_alone(tmp_path):
    path = tmp_path / "d.md"
    begin, end = scaling.MARKS
    path.write_text(f"before\n{begin}old\n{end}after\n")
    subprocess.run([sys.executable, SCRIPT, "--write", path, "--images-per-second", "5952"], check=True)
    assert re.fullmatch(
        rf"before\n{begin}\n.*With DenseNet-40 at 5,952 images/s:.*\n{end}after\n",
        path.read_text(),
        re.S,
    )


def test_it_says_where_a_document_has_no_marks(tmp_path):
    path = tmp_path / "d.md"
    path.write_text(f"before\n{scaling.MARKS[0]}the rest\n")
    done = subprocess.run([sys.executable, SCRIPT, "--write", path], capture_output=True, text=True)
    assert done.returncode == 2
    assert f"--write: {path}: has no <!-- what scripts/scaling.py prints --> with <!-- end --> below it" in done.stderr
    assert path.read_text() == f"before\n{scaling.MARKS[0]}the rest\n"
