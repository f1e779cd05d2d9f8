import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
from scipy.special import softmax

from snapshot_cli.config.load import load
from snapshot_cli.config.plan import expand
from snapshot_cli.config.shipped import study_path
from snapshot_cli.datasets.manifest import training_examples
from snapshot_cli.reporting import report
from snapshot_cli.run_directory import RunDirectory

ROOT = Path(__file__).parents[1]
SMALL = ROOT / "results/small"
TABLES = ("methods", "cycles", "metrics", "weighting")
STUDIES = [path.stem for path in sorted((ROOT / "configs/studies/small").glob("*.yaml"))]


def small(name):
    return load(study_path(f"small/{name}"), training_examples=training_examples(ROOT / "data"))


def tables(name):
    """Return a study with those of its tables that are stored, and with the experiments that these show."""
    study = small(name)
    render = {
        stem: drawing
        for stem, drawing in study.render.items()
        if drawing.kind in TABLES and (SMALL / f"{stem}.md").is_file()
    }
    shown = tuple(each for each in study.experiments if any(drawing.shows(each) for drawing in render.values()))
    return study.model_copy(update={"render": render, "experiments": shown})


MEASURED = [name for name in STUDIES if tables(name).render]


@pytest.mark.parametrize("name", MEASURED)
def test_tables_are_what_the_stored_predictions_give(name, tmp_path):
    written = report.draw(tables(name), SMALL, {}, called=f"small/{name}").write(tmp_path)
    assert written
    for path in written:
        assert path.read_bytes() == (SMALL / path.name).read_bytes()


@pytest.mark.parametrize("name", MEASURED)
def test_errors_counted_by_hand_stand_in_the_tables(name):
    study = tables(name)
    written = "".join((SMALL / f"{stem}.md").read_text() for stem in study.render)
    for cell in (each for each in expand(study) if each.experiment.replicates == 1):
        members = [(RunDirectory.of(member.run, SMALL), member.snapshot) for member in cell.members]
        if all(each.status == "done" for each, _ in members):
            assert f"{error(members, study.split):.2f}" in written


def error(members, split):
    """Return the error in percent of some snapshots together, from their stored predictions."""
    labels = np.load(members[0][0].path / f"predictions/{split}-labels.npy")
    logits = [np.load(each.path / f"predictions/{split}-{snapshot}.npy") for each, snapshot in members]
    return 100 * (np.mean([softmax(each.astype(float), axis=1) for each in logits], axis=0).argmax(1) != labels).mean()


def test_rows_of_figure_4_are_what_the_stored_predictions_give():
    """Of the budgets below 200 the rows alone are stored."""
    cells = json.loads((SMALL / "figure4.json").read_text())["cells"]
    expected = expand(small("figure4"))
    assert [[(m["run"], m["snapshot"]) for m in cell["members"]] for cell in cells] == [
        [(member.run.run_id, member.snapshot) for member in cell.members] for cell in expected
    ]
    for found, cell in zip(cells, expected, strict=True):
        members = [(RunDirectory.of(member.run, SMALL), member.snapshot) for member in cell.members]
        assert all(each.status == "done" for each, _ in members)
        if cell.experiment.budget == 200:
            sizes = range(1, len(members) + 1)
            assert [e["top1_error"] for e in found["ensembles"]] == pytest.approx(
                [error(members[-size:], "test") for size in sizes]
            )


def test_numbers_in_the_readme_are_in_the_tables():
    text = " ".join((ROOT / "README.md").read_text().split())
    said = re.findall(r"(\d+\.\d+)(?: ± (\d+\.\d+))? %", text[: text.index("## Commands")])
    errors = set[tuple[str, str]]()
    for stem in (stem for name in MEASURED for stem in tables(name).render):
        for row in csv.DictReader((SMALL / f"{stem}.csv").read_text().splitlines()):
            if row.get("error"):
                half = row.get("spread") or row.get("error ±")
                value, spread = f"{float(row['error']):.2f}", f"{float(half):.2f}" if half else ""
                errors |= {(value, spread), (value, "")}
    assert said
    assert set(said) <= errors
