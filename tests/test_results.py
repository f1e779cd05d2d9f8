"""The committed results: whole, small, and what the scores give."""

import csv
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from snapshot_cli import scores
from snapshot_cli.config import kinds
from snapshot_cli.config.load import load
from snapshot_cli.config.plan import cell as plan_cell
from snapshot_cli.config.study import Study
from snapshot_cli.reporting import report

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results"
SCORES = sorted(RESULTS.glob("*/scores/*/*.json"))
STUDIES = sorted(path for size in ("small", "medium") for path in (ROOT / "configs/studies" / size).glob("*.yaml"))
MAX_KIB = 10_240  # KiB of all tracked files together


def tracked():
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if done.returncode:
        pytest.skip("no git checkout")
    return [ROOT / name for name in done.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


def test_the_tracked_files_together_are_small():
    blocks = sum(-(-path.stat().st_size // 4096) * 4 for path in tracked())
    assert blocks < MAX_KIB


def test_no_run_directory_is_tracked():
    names = {path.relative_to(ROOT).as_posix() for path in tracked()}
    assert not [name for name in names if re.match(r"results/([^/]+/runs|demo)/", name)]


@pytest.mark.parametrize("path", SCORES, ids=lambda path: path.stem)
def test_scores_are_whole_and_count_their_own_bits(path):
    stored = scores.read(path)
    assert stored.experiment is not None
    assert scores.path(plan_cell(stored.experiment), path.parents[2], stored.split) == path
    for metrics in (*stored.alone, *stored.later, *stored.earlier):
        assert metrics.error == pytest.approx(100 * (1 - np.mean(stored.right(metrics))))
        assert sum(metrics.reliability.count) == stored.images


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_tables_are_what_the_scores_give(path, tmp_path):
    study, results = load(path), RESULTS / path.parent.name
    assert isinstance(study, Study)
    names = kinds.modules()
    tables = {
        stem: one
        for stem, one in study.render.items()
        if "reporting.tables" in names[one.kind] and (results / f"{stem}.md").is_file()
    }
    drawn = report.draw(
        study.model_copy(update={"render": tables}), results, {}, argument=f"{path.parent.name}/{path.stem}"
    )
    for file in report.write(drawn.drawn, tmp_path).paths:
        assert file.read_bytes() == (results / file.name).read_bytes(), f"snapshot report {drawn.argument}"


def test_numbers_in_the_readme_are_in_the_tables():
    text = " ".join((ROOT / "README.md").read_text().split())
    said = re.findall(r"(\d+\.\d\d)(?: ± (\d+\.\d\d))? (?:%|\|)", text)
    errors = set()
    for path in RESULTS.glob("*/*.csv"):
        for row in csv.DictReader(path.read_text().splitlines()):
            if row.get("error"):
                half = row.get("spread") or row.get("error ±")
                value, spread = f"{float(row['error']):.2f}", f"{float(half):.2f}" if half else ""
                errors |= {(value, spread), (value, "")}
    assert said
    demo = re.findall(r"  (\d+\.\d\d) ± (\d+\.\d\d) ", (ROOT / "docs/demo.md").read_text())  # what `make demo` prints
    assert demo
    assert set(said) <= errors | set(demo)
