import errno
import json
import re
import shutil
from pathlib import Path

import pytest
from command_line import EXPERIMENT, STUDY, snapshot, write
from fabricated_runs import finish_cells

from snapshot_cli.commands import status
from snapshot_cli.config import plan
from snapshot_cli.config.load import load
from snapshot_cli.config.plan import run_label
from snapshot_cli.launch import failure, run_status
from snapshot_cli.run_directory import RunDirectory

ROW = {"epoch": 1, "iteration": 7, "rate": 0.05, "train_error": 45.678, "images_per_second": 87.0}


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SNAPSHOT_DATA_DIR", raising=False)
    return load(write(tmp_path / "study.yaml", STUDY))


def lines(text):
    return [re.sub("  +", "  ", line.strip()) for line in text.splitlines()]


def test_every_run_of_a_study(tmp_path, study):
    single, snapshots, second = plan.runs(study)
    directory = RunDirectory.of(single, tmp_path / "results/own")
    directory.start(single, {})
    directory.write_metrics([ROW])
    (directory.path / ".lock").write_text(json.dumps({"pid": 12, "host": "far", "since": "then"}))
    failed = RunDirectory.of(second, tmp_path / "results/own")
    failed.start(second, {})
    (failed.path / failure.FAILURE).write_text("the loss is [not] finite")
    code, out, errors = snapshot("status", "study.yaml")
    assert (code, errors) == (0, "")
    assert lines(out) == [
        "run  state  done  lr  error  images/s  left  where, or why not",
        f"{run_label(single)}  running  28.0 %  0.0500  45.68 %  87  13 s  far, process 12",
        f"{run_label(snapshots)}  waiting  0.0 %  -  -  -  -",
        f"{run_label(second)}  failed  0.0 %  -  -  -  -  the loss is [not] finite",
        "3 runs: 1 waiting, 1 failed, 1 running; 9.3 % done, 50 s left at 87 images/s",
    ]
    assert lines(snapshot("status")[1])[1:] == [
        *sorted([lines(out)[1], lines(out)[3]]),
        "2 runs: 1 failed, 1 running; 14.0 % done, 32 s left at 87 images/s",
    ]


def test_watching_ends_when_all_is_done(tmp_path, study, monkeypatch):
    looked = []

    def sleep(seconds):
        looked.append(seconds)
        if len(looked) == 2:
            finish_cells(study, tmp_path / "results/own", lambda run, k: k)

    monkeypatch.setattr(status.time, "sleep", sleep)
    assert snapshot("status", "study.yaml", "--watch") == (
        0, "3 runs: 3 waiting; 0.0 % done\n3 runs: 3 done; 100.0 % done\n", ""
    )  # fmt: skip
    assert looked == [2.0, 2.0]


def test_watching_shows_what_is_started_later_and_ends_where_nothing_goes_on(tmp_path, study, monkeypatch):
    first, second, _ = plan.runs(study)
    RunDirectory.of(first, tmp_path / "results/own").start(first, {})
    looked = []

    def sleep(seconds):
        looked.append(seconds)
        if len(looked) == 3:
            RunDirectory.of(second, tmp_path / "results/own").start(second, {})

    monkeypatch.setattr(status.time, "sleep", sleep)
    assert snapshot("status", "--watch") == (
        0, "1 run: 1 stopped; 0.0 % done\n2 runs: 2 stopped; 0.0 % done\n", ""
    )  # fmt: skip
    assert len(looked) == status.IDLE_LOOKS


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ([], 1, "results: no run in it; for the runs that a study will have, type snapshot status STUDY\n"),
        (
            ["--results-dir", "R"],
            1,
            "R: no run in it; for the runs that a study will have, type snapshot status STUDY\n",
        ),
        (["nowhere.yaml"], 2, "nowhere.yaml: no such file\n"),
    ],
)
def test_nothing_to_show(study, words, code, message):
    assert snapshot("status", *words) == (code, "", message)


def test_a_run_of_a_dataset_that_is_not_prepared(tmp_path, study, tiny_data):
    file = write(tmp_path / "e.yaml", EXPERIMENT | {"dataset": "tiny"})
    (directory,) = finish_cells(load(file), tmp_path / "results/own", lambda run, k: k)
    path = directory.path.relative_to(tmp_path)
    assert snapshot("status") == (
        1, "", f"{path}: of the dataset 'tiny', which is not prepared in data; see --data-dir\n"
    )  # fmt: skip
    assert snapshot("status", "--data-dir", tiny_data)[::2] == (0, "")


def test_what_cannot_be_shown_hides_no_other(tmp_path, study, tiny_data, monkeypatch):
    folder = tmp_path / "results/own"
    broken, *good = finish_cells(study, folder, lambda run, k: k)
    (broken.path / "done.json").unlink()
    (broken.path / "config.yaml").write_text("[")
    file = write(tmp_path / "e.yaml", EXPERIMENT | {"dataset": "tiny"})
    with monkeypatch.context() as patch:
        patch.setenv("SNAPSHOT_DATA_DIR", str(tiny_data))
        (other,) = finish_cells(load(file), folder, lambda run, k: k)
    code, out, errors = snapshot("status")
    assert code == 1
    assert {line.partition("  ")[0] for line in lines(out)[1:-1]} == {run_label(each.run) for each in good}
    assert lines(out)[-1].startswith("2 runs: 2 done")
    said = errors.splitlines()
    assert len(said) == 2
    assert any(line.startswith(f"{broken.path.relative_to(tmp_path)}/config.yaml:") for line in said)
    assert any(line.startswith(f"{other.path.relative_to(tmp_path)}: of the dataset 'tiny'") for line in said)
    assert snapshot("status", "--watch") == (0, "2 runs: 2 done; 100.0 % done\n", errors)


def test_scores_without_runs_are_done(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    study = load(write(tmp_path / "study.yaml", STUDY))
    directories = finish_cells(study, tmp_path / "results/own", lambda run, k: k)
    assert snapshot("report", "study.yaml")[0] == 0
    for directory in directories:
        shutil.rmtree(directory.path)
    code, out, _ = snapshot("status", "study.yaml")
    assert (code, out.splitlines()[-1]) == (0, "3 runs: 3 done; 100.0 % done")
    code, out, errors = snapshot("reproduce", "study.yaml", "--dry-run")
    assert out.count("done ") == 3
    assert out.splitlines()[-1] == "3 runs, 3 done; 0 of 4,800 training images to go"
    code, _, errors = snapshot("reproduce", "study.yaml")
    assert (code, "all 3 runs finished before, nothing to train" in errors) == (0, True)
    code, _, errors = snapshot("train", "study.yaml", "--device", "cpu")
    assert (code, errors) == (0, "")
    assert not list((tmp_path / "results/own").glob("runs/*/*/config.yaml"))


def test_a_run_of_another_user_hides_no_other(tmp_path, study, monkeypatch):
    first, *_ = finish_cells(study, tmp_path / "results/own", lambda run, k: k)
    real = Path.read_bytes

    def forbidden(path):
        if path.resolve().is_relative_to(first.path) and path.suffix != ".json":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", forbidden)
    code, out, errors = snapshot("status")
    assert (code, lines(out)[-1]) == (1, "2 runs: 2 done; 100.0 % done")
    path = first.path.relative_to(tmp_path)
    assert errors == f"{path}/config.yaml: Permission denied\n"
    code, out, _ = snapshot("status", "study.yaml")
    assert (code, out.count(" done "), out.count(f"{path}/metrics.csv: Permission denied")) == (0, 4, 1)
    code, out, errors = snapshot("verify", "--all")
    assert (code, out, errors) == (
        1, "2 finished runs: all files as written\n", f"{path}/config.yaml: Permission denied\n",
    )  # fmt: skip


def test_a_folder_that_nobody_may_enter_is_a_failed_run(tmp_path, study, monkeypatch):
    def forbidden(folder):
        raise PermissionError(errno.EACCES, "Permission denied", str(folder))

    monkeypatch.setattr("snapshot_cli.seal.is_sealed", forbidden)
    run = plan.runs(study)[0]
    found = run_status.read_status(RunDirectory.of(run, tmp_path), run, 100)
    assert (found.state, found.note) == ("failed", f"{RunDirectory.of(run, tmp_path).path}: Permission denied")


def test_results_behind_a_link(tmp_path, study):
    finish_cells(study, tmp_path / "scratch", lambda run, k: k)
    snapshot("report", "study.yaml", "--results-dir", "scratch")
    (tmp_path / "results").mkdir()
    (tmp_path / "results/own").symlink_to(tmp_path / "scratch")
    assert lines(snapshot("status")[1])[-1] == "3 runs: 3 done; 100.0 % done"
    code, out, _ = snapshot("verify", "--all")
    assert (code, out.count("3 finished runs: all files as written"), out.count("3 score files: equal")) == (0, 1, 1)


def test_runs_that_were_copied_elsewhere(tmp_path, study):
    first, second, _ = finish_cells(study, tmp_path / "results/own", lambda run, k: k)
    first.path.rename(tmp_path / "copy")
    (tmp_path / "far/x/y").mkdir(parents=True)
    second.path.rename(tmp_path / "far/x/y/run")
    for folder in ("copy", "far"):
        code, out, errors = snapshot("status", "--results-dir", folder)
        assert (code, errors, lines(out)[-1]) == (0, "", "1 run: 1 done; 100.0 % done")


def test_set_needs_a_study(tmp_path, study):
    finish_cells(study, tmp_path / "results/own", lambda run, k: k)
    assert snapshot("status", "--set", "cycles=3") == (
        2, "", "snapshot status: --set cycles=3 goes with a FILE, and none is given\n"
    )  # fmt: skip
