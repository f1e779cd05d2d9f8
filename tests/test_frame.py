import json

import pytest
from command_line import EXPERIMENT, STUDY, snapshot, write
from fabricated_runs import finish_cells

from snapshot_cli import UserError, read_scores
from snapshot_cli.config.load import load

COLUMNS = {"error": "top1_error", "nll": "nll", "brier": "brier", "ece": "ece", "calibrated_nll": "calibrated_nll"}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def finished(tmp_path, text, results="results/own"):
    return finish_cells(load(write(tmp_path / "e.yaml", text)), tmp_path / results, lambda run, k: 6 - 2 * k)


def evaluated(*words):
    code, out, _ = snapshot("eval", *words, "--json")
    assert code == 0
    return json.loads(out)


def test_the_numbers_are_those_of_eval(tmp_path):
    finished(tmp_path, STUDY)
    scores = read_scores("e.yaml")
    cells = evaluated("e.yaml")["cells"]
    rows = [(cell, size) for cell in cells for size in cell["ensembles"]]
    assert scores["label"].tolist() == [cell["label"] for cell, _ in rows]
    assert scores["replicate"].tolist() == [cell["replicate"] for cell, _ in rows]
    assert scores["m"].tolist() == [size["size"] for _, size in rows]
    for name, column in COLUMNS.items():
        assert scores[name].tolist() == [size[column] for _, size in rows]
    for setting in ("network", "dataset", "method", "alpha0", "cycles", "budget", "split"):
        assert scores[setting].tolist() == [cell[setting] for cell, _ in rows]
    assert scores["images"].unique() == [20]


def test_an_experiment_its_run_directory_and_another_folder_of_results(tmp_path):
    (directory, *_) = finished(tmp_path, EXPERIMENT)
    whole = read_scores(tmp_path / "e.yaml")
    assert whole["error"].tolist() == [10.0, 10.0]
    assert read_scores(directory.path).equals(whole)
    finished(tmp_path, EXPERIMENT, "elsewhere")
    assert read_scores("e.yaml", "elsewhere").equals(whole)


def test_nothing_finished_and_no_such_file(tmp_path):
    write(tmp_path / "e.yaml", EXPERIMENT)
    with pytest.raises(UserError, match=r"^e\.yaml: nothing is finished in results/own$"):
        read_scores("e.yaml")
    with pytest.raises(UserError, match="did you mean 'demo/table1'"):
        read_scores("demo/tabel1")
    with pytest.raises(UserError, match=r"^split: expected test or holdout, given 'tset'$"):
        read_scores("e.yaml", split="tset")
    with pytest.raises(UserError, match="not a run directory"):
        read_scores(tmp_path)
