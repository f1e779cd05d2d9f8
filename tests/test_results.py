import csv
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
MEASURED = [name for name in STUDIES if (SMALL / f"{name}.csv").is_file()]


def small(name):
    return load(study_path(f"small/{name}"), training_examples=training_examples(ROOT / "data"))


@pytest.mark.parametrize("name", MEASURED)
def test_tables_are_what_the_stored_predictions_give(name, tmp_path):
    study = small(name)
    study = study.model_copy(update={"render": {s: d for s, d in study.render.items() if d.kind in TABLES}})
    written = report.draw(study, SMALL, {}, called=f"small/{name}").write(tmp_path)
    assert written
    for path in written:
        assert path.read_bytes() == (SMALL / path.name).read_bytes()


@pytest.mark.parametrize("name", MEASURED)
def test_errors_counted_by_hand_stand_in_the_tables(name):
    study = small(name)
    written = (SMALL / f"{name}.md").read_text()
    for cell in (each for each in expand(study) if each.experiment.replicates == 1):
        folders = [RunDirectory.of(member.run, SMALL).path / "predictions" for member in cell.members]
        files = [path / f"{study.split}-{m.snapshot}.npy" for path, m in zip(folders, cell.members, strict=True)]
        if all(path.is_file() for path in files):
            labels = np.load(folders[0] / f"{study.split}-labels.npy")
            probabilities = [softmax(np.load(path).astype(float), axis=1) for path in files]
            wrong = np.mean(probabilities, axis=0).argmax(1) != labels
            assert f"{100 * wrong.mean():.2f}" in written


def test_numbers_in_the_readme_are_in_the_tables():
    text = " ".join((ROOT / "README.md").read_text().split())
    said = re.findall(r"(\d+\.\d+)(?: ± (\d+\.\d+))? %", text[: text.index("## Commands")])
    errors = set[tuple[str, str]]()
    for name in MEASURED:
        for row in csv.DictReader((SMALL / f"{name}.csv").read_text().splitlines()):
            if row.get("error"):
                error, spread = (f"{float(row[column]):.2f}" if row[column] else "" for column in ("error", "spread"))
                errors |= {(error, spread), (error, "")}
    assert said
    assert set(said) <= errors
