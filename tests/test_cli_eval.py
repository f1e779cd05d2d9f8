import json
import re
import shutil

import numpy as np
import pytest
from command_line import EXPERIMENT, NOTHING_GIVEN, STUDY, snapshot, write
from fabricated_runs import finish, finish_cells, logits_of

from snapshot_cli.config import plan
from snapshot_cli.config.load import load

NUMBERS = ["top1_error", "top5_error", "nll", "brier", "ece", "calibrated_nll"]
MEMBER = ["run", "snapshot", *NUMBERS]
ENSEMBLE = ["size", *NUMBERS]
KEYS = ["method", "dataset", "network", "split", "examples", "members", "ensembles", "chosen_on_holdout"]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SNAPSHOT_DATA_DIR", raising=False)


@pytest.fixture
def directory(tmp_path):
    return finish_cells(
        load(write(tmp_path / "e.yaml", EXPERIMENT)), tmp_path / "results/own", lambda run, k: 6 - 2 * k
    )[0]


def as_json(*words):
    code, out, errors = snapshot("eval", *words, "--json")
    assert (code, errors) == (0, "")
    return json.loads(out)


def test_json_of_an_experiment_and_of_its_directory(directory):
    found = as_json("e.yaml")
    assert list(found) == KEYS
    assert [list(member) for member in found["members"]] == [MEMBER] * 2
    assert [list(ensemble) for ensemble in found["ensembles"]] == [ENSEMBLE] * 2
    assert (found["method"], found["dataset"], found["network"]) == ("snapshot", "digits", "resnet-8")
    assert [(m["run"], m["snapshot"], m["top1_error"]) for m in found["members"]] == [
        (directory.run.run_id, 1, 20.0), (directory.run.run_id, 2, 10.0)
    ]  # fmt: skip
    assert [(e["size"], e["top1_error"]) for e in found["ensembles"]] == [(1, 10.0), (2, 10.0)]
    assert found["ensembles"][0]["ece"] == pytest.approx(0.4)
    assert as_json(directory.path) == found | {"method": None}


@pytest.mark.parametrize(("classes", "top5"), [(5, None), (6, 50.0)])
def test_top5_needs_six_classes(tmp_path, classes, top5):
    (run,) = plan.runs(load(write(tmp_path / "e.yaml", EXPERIMENT)))
    labels = np.array([4, classes - 1])
    # The second image: class 0 is chosen, all others are equal, so the last one comes last of all.
    logits = logits_of([4, 0], classes=classes)
    finish(run, tmp_path / "results/own", [logits, logits], labels)
    assert [(e["top1_error"], e["top5_error"]) for e in as_json("e.yaml")["ensembles"]] == [(50.0, top5)] * 2


def test_directories_in_the_order_given_are_one_ensemble(tmp_path):
    asked = load(write(tmp_path / "e.yaml", EXPERIMENT | {"method": "ensemble"}))
    other, one = finish_cells(asked, tmp_path / "results/own", lambda run, k: 2 * (run.seed // 1000) + k)
    found = as_json(other.path, one.path)
    assert [(m["run"], m["snapshot"], m["top1_error"]) for m in found["members"]] == [
        (other.run.run_id, 1, 15.0), (other.run.run_id, 2, 20.0), (one.run.run_id, 1, 5.0), (one.run.run_id, 2, 10.0)
    ]  # fmt: skip
    assert [e["size"] for e in found["ensembles"]] == [1, 2, 3, 4]


def test_tables_lose_no_digit_in_a_pipe(directory):
    code, out, errors = snapshot("eval", "e.yaml")
    assert (code, errors) == (0, "")
    assert out.splitlines()[0] == "Snapshot (α₀ = 0.1): resnet-8 on digits, 20 test images"
    assert re.findall(r"^(\w.*?)  +(\d+\.\d+)  ", out, re.MULTILINE) == [
        ("snapshot 1", "20.00"), ("snapshot 2", "10.00"), ("last member alone", "10.00"), ("last 2 members", "10.00")
    ]  # fmt: skip
    assert "…" not in out


def test_a_study_side_by_side(tmp_path):
    file = write(tmp_path / "study.yaml", STUDY)
    finish_cells(load(file), tmp_path / "results/own", lambda run, k: run.seed // 1000 + k)
    code, out, errors = snapshot("eval", file)
    assert (code, errors) == (0, "")
    assert [re.split(r"\s{2,}", line.strip()) for line in out.splitlines()[-3:]] == [
        ["Single model", "1 of 1", "10.00"],
        ["Snapshot (α₀ = 0.1)", "1 of 1", "10.00", "5.00"],
        ["True ensemble", "1 of 1", "10.00", "10.00"],
    ]
    found = as_json(file)
    assert list(found) == ["study", "cells"]
    assert [cell["method"] for cell in found["cells"]] == ["single", "snapshot", "ensemble"]
    assert list(found["cells"][0]) == ["label", "alpha0", "cycles", "budget", "replicate", *KEYS]


def test_an_experiment_with_replicates_has_all_of_them(tmp_path):
    asked = load(write(tmp_path / "e.yaml", EXPERIMENT | {"replicates": 3}))
    finish_cells(asked, tmp_path / "results/own", lambda run, k: run.seed)
    found = as_json("e.yaml")
    assert (found["study"], [cell["replicate"] for cell in found["cells"]]) == (None, [0, 1, 2])
    assert [cell["members"][0]["top1_error"] for cell in found["cells"]] == [0.0, 5.0, 10.0]


def test_holdout(tmp_path):
    (run,) = plan.runs(load(write(tmp_path / "e.yaml", EXPERIMENT | {"holdout": 20})))
    finish(run, tmp_path / "results/own", [logits_of([1, 2]), logits_of([1, 3])], [1, 3], split="holdout")
    found = as_json("e.yaml", "--split", "holdout")
    assert (found["split"], found["examples"]) == ("holdout", 2)
    assert [m["top1_error"] for m in found["members"]] == [50.0, 0.0]
    code, out, errors = snapshot("eval", "e.yaml")
    assert (code, out) == (1, "")
    assert ("nor the test predictions of" in errors, "; delete" in errors) == (True, True)


def test_holdout_that_is_none(directory):
    assert snapshot("eval", directory.path, "--split", "holdout") == (
        1, "", f"{directory.path}: no training images were withheld; train with holdout: N to score on them\n"
    )  # fmt: skip


def test_what_is_not_defined_is_null_in_json_and_nan_in_the_table(tmp_path):
    (run,) = plan.runs(load(write(tmp_path / "e.yaml", EXPERIMENT)))
    finish(run, tmp_path / "results/own", [np.full((2, 10), np.nan, np.float32), logits_of([1, 2])], [1, 2])
    found = as_json("e.yaml")
    assert [found["members"][0][name] for name in NUMBERS] == [None] * 6
    assert [e["top1_error"] for e in found["ensembles"]] == [0.0, None]
    assert re.search(r"^snapshot 1 +nan +nan ", snapshot("eval", "e.yaml")[1], re.MULTILINE)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ([], 2, f"snapshot eval: {NOTHING_GIVEN}"),
        (
            ["e.yaml", "other.yaml"], 2,
            "snapshot eval: expected one FILE, or run directories only, given e.yaml, other.yaml",
        ),
        (["nowhere"], 2, "nowhere: no such file, run directory or name; snapshot list shows the names"),
        (["nowhere/e.yaml"], 2, "nowhere/e.yaml: no such file"),
        (
            ["e.yaml"], 1,
            "e.yaml: its run is not finished in results/own; type snapshot train e.yaml",
        ),
        (
            ["e.yaml", "--set", "method=ensemble", "--results-dir", "R"], 1,
            "e.yaml: 2 of its 2 runs are not finished in R; "
            "type snapshot train e.yaml --set method=ensemble --results-dir R",
        ),
        (["e.yaml", "--set", "cycles"], 2, "--set cycles: expected KEY=VALUE, such as --set cycles=3"),
    ],
)  # fmt: skip
def test_what_cannot_be(tmp_path, words, code, message):
    write(tmp_path / "e.yaml", EXPERIMENT)
    assert snapshot("eval", *words) == (code, "", message + "\n")


def test_a_run_that_was_stopped(directory):
    (directory.path / "done.json").unlink()
    path = f"results/own/runs/{directory.run.run_id}"
    assert snapshot("eval", path) == (
        1, "", f"{path}: training is not finished; type snapshot train {path}\n"
    )  # fmt: skip


def test_other_images_than_those_prepared_now(tmp_path):
    file = write(tmp_path / "e.yaml", EXPERIMENT)
    (directory,) = finish_cells(load(file), tmp_path / "results/own", lambda run, k: 0, dataset_hash="other")
    assert snapshot("data", "prepare", "digits")[0] == 0
    assert snapshot("eval", "e.yaml") == (
        1,
        "",
        f"{directory.run.run_id}: was trained on other images than those prepared as 'digits' now, or than the other "
        f"runs; prepare those, or delete its scores and directory and train it again\n",
    )


def test_scores_are_enough_without_runs_and_images(tmp_path):
    """Of a dataset of one's own, which is not prepared here."""
    file = write(tmp_path / "e.yaml", EXPERIMENT | {"dataset": "mine"})
    (directory,) = finish_cells(load(file), tmp_path / "results/own", lambda run, k: k)
    assert as_json(file)["dataset"] == "mine"
    shutil.rmtree(directory.path)
    assert as_json(file)["ensembles"][0]["top1_error"] == 10.0
    shutil.rmtree(tmp_path / "results")
    code, _, errors = snapshot("eval", file)
    assert (code, "unknown dataset 'mine'" in errors) == (2, True)


def test_of_an_unfinished_study_report_draws_what_is_finished(tmp_path):
    code, _, errors = snapshot("eval", "demo/table3", "--results-dir", tmp_path)
    assert (code, " (snapshot report draws the finished ones); type snapshot train " in errors) == (1, True)


def test_an_experiment_that_withheld_no_images_is_not_to_be_trained_again(directory):
    message = "no training images were withheld; train with holdout: N to score on them\n"
    assert snapshot("eval", "e.yaml", "--split", "holdout") == (1, "", f"{directory.run.run_id}: {message}")
    shutil.rmtree(directory.path)
    assert snapshot("eval", "e.yaml", "--split", "holdout") == (1, "", f"{directory.run.run_id}: {message}")


def test_set_goes_with_a_file(directory):
    assert snapshot("eval", directory.path, "--set", "cycles=9") == (
        2, "", "snapshot eval: --set cycles=9 goes with a FILE, and none is given\n"
    )  # fmt: skip


def test_a_study_of_one_experiment_shows_its_members(directory, tmp_path):
    write(tmp_path / "s.yaml", {"title": "One", "base": STUDY["base"], "methods": ["snapshot"]})
    assert snapshot("eval", "s.yaml") == snapshot("eval", "e.yaml")
    assert as_json("s.yaml")["study"] == "s"
