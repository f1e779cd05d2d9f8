import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts/compare_engines.py"
spec = importlib.util.spec_from_file_location("compare_engines", SCRIPT)
compare = importlib.util.module_from_spec(spec)
sys.modules["compare_engines"] = compare  # where dataclasses look for it
spec.loader.exec_module(compare)
Pass, Span = compare.Pass, compare.Span

LOCAL = Pass("local", [Span(10, 20), Span(10, 21), Span(22, 32), Span(24, 35)], 2)
RAY = Pass("ray", [Span(50, 60), Span(53, 63), Span(62, 72), Span(68, 77.5)], 2)


def test_the_table():
    assert compare.table([LOCAL, RAY]) == (
        "| engine | first start to last end, s | a run, s | slots busy |\n|:--|--:|--:|--:|\n"
        "| local | 25.0 | 10.0 to 11.0 | 84.0 % |\n| ray | 27.5 | 9.5 to 10.0 | 71.8 % |\n"
        "\nRay against local slots: +10.0 % of the time.\n"
    )


@pytest.mark.parametrize(("seconds", "expected"), [(60, 240), (0.1, 1)])
def test_a_run_takes_at_least_what_was_asked_for(seconds, expected):
    assert compare.epochs_for(LOCAL, seconds) == expected


def test_times_are_those_of_files_of_finished_runs(tmp_path):
    for name, start, end in (("a", 5, 9), ("b", 6, None)):
        folder = tmp_path / "runs/digits" / name
        folder.mkdir(parents=True)
        for file, time in (("config.yaml", start), ("done.json", end)):
            if time is not None:
                (folder / file).touch()
                os.utime(folder / file, (time, time))
    assert list(compare.read_spans(tmp_path)) == [Span(5, 9)]


@pytest.mark.parametrize("option", ["--seconds", "--runs", "--slots", "--passes"])
def test_numbers_that_measure_nothing(option):
    done = subprocess.run([sys.executable, SCRIPT, option, "0"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith(": error: expected numbers above 0")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_both_engines_are_measured():
    pytest.importorskip("ray")
    words = ["--seconds", "1", "--runs", "2", "--slots", "1"]
    done = subprocess.run([sys.executable, SCRIPT, *words], capture_output=True, text=True, check=True)
    assert [line.split("|")[1] for line in done.stdout.splitlines()[2:4]] == [" local ", " ray "]
    assert done.stdout.splitlines()[-1].startswith("Ray against local slots: ")
