"""What `snapshot tensorboard` writes of trained runs, read back with TensorBoard's own reader."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from command_line import NOTHING_GIVEN, STUDY, snapshot, write
from event_files import read, scalars, settings
from fabricated_runs import finish_cells

from snapshot_cli import lock
from snapshot_cli.commands import tensorboard
from snapshot_cli.config import plan
from snapshot_cli.config.load import load
from snapshot_cli.run_directory import RunDirectory

SETTINGS = {"dataset": "tiny", "network": "resnet-8", "method": "snapshot", "budget": 3, "cycles": 2, "batch_size": 16}
ROW = {"epoch": 1.0, "rate": 0.1, "train_loss": 2.5, "train_error": 80.0, "seconds": 3.0, "images_per_second": 50.0}
COLUMNS = {
    "train/loss": "train_loss", "train/error": "train_error", "train/lr": "rate",
    "train/images_per_second": "images_per_second",
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tiny_data):
    path = tmp_path_factory.mktemp("tensorboard")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path)
        write(path / "e.yaml", SETTINGS)
        assert snapshot("train", "e.yaml", "--device", "cpu", "--data-dir", tiny_data)[0] == 0
    return path


@pytest.fixture(autouse=True)
def here(folder, monkeypatch, tiny_data):
    monkeypatch.chdir(folder)
    monkeypatch.setenv("SNAPSHOT_DATA_DIR", str(tiny_data))


@pytest.fixture
def run(folder):
    (run,) = plan.runs(load(folder / "e.yaml"))
    return run


def content(folder):
    """Return the bytes and the time of change of every file below a folder."""
    files = sorted(path for path in Path(folder).rglob("*") if path.is_file())
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def test_a_trained_experiment(run):
    before = content("results/own/runs")
    code, out, errors = snapshot("tensorboard", "e.yaml")
    logs = Path("results/own/tensorboard")
    assert (code, out, errors) == (0, f"1 run: 1 done; view them with tensorboard --logdir {logs}\n", "")
    with Path(f"results/own/runs/{run.run_id}/metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    found = scalars(logs / "runs" / run.run_id)
    for tag, column in COLUMNS.items():
        assert found[tag] == [(int(row["iteration"]), np.float32(row[column])) for row in rows]
    assert found["snapshots/taken"] == [(6, 0), (9, 1), (12, 1), (18, 2)]
    scores = json.loads(snapshot("eval", "e.yaml", "--json")[1])
    errors = [np.float32(each["top1_error"]) for each in scores["members"]]
    assert found["test_error/snapshot"] == [(9, errors[0]), (18, errors[1])]
    ensembles = [(m, np.float32(each["top1_error"])) for m, each in enumerate(scores["ensembles"], start=1)]
    assert found["test_error/last_m"] == ensembles
    assert {"schedule": "cosine", "cycles": 2, "alpha0": 0.1}.items() <= settings(logs / "runs" / run.run_id).items()
    ensemble = logs / "ensembles/e/tiny/resnet-8/Snapshot-alpha0-0.1"
    assert scalars(ensemble)["test_error/last_m"] == ensembles
    assert scalars(ensemble)["test_error/member"] == [(1, errors[0]), (2, errors[1])]
    assert settings(ensemble)["method"] == "snapshot"
    assert read(logs / "figures/e").Tags()["images"] == [
        f"figures/{kind}" for kind in ("schedule", "loss", "ensemble-size", "correlation", "calibration")
    ]
    assert content("results/own/runs") == before


def test_the_printed_command_is_quoted_for_a_shell():
    _, out, _ = snapshot("tensorboard", "e.yaml", "-o", "logs of; today")
    assert out.endswith("; view them with tensorboard --logdir 'logs of; today'\n")


def test_once_more_nothing_is_written():
    assert snapshot("tensorboard", "e.yaml", "-o", "again")[0] == 0
    before = content("again")
    assert snapshot("tensorboard", "e.yaml", "-o", "again")[0] == 0
    assert {path: bytes_ for path, (bytes_, _) in content("again").items()} == {
        path: bytes_ for path, (bytes_, _) in before.items()
    }


def test_the_directory_of_a_run_and_its_config(run, tmp_path):
    place = f"results/own/runs/{run.run_id}"
    assert snapshot("tensorboard", place)[1].endswith("tensorboard --logdir results/own/tensorboard\n")
    for number, words in enumerate([[place], [f"{place}/config.yaml"]]):
        assert snapshot("tensorboard", *words, "-o", tmp_path / str(number))[0] == 0
        assert list(scalars(tmp_path / str(number) / "runs" / run.run_id)) != []
        assert [path.name for path in (tmp_path / str(number)).iterdir()] == ["runs"]


def test_a_run_and_a_copy_of_it_would_share_a_log(run, tmp_path):
    own, copy = Path(f"results/own/runs/{run.run_id}"), tmp_path / "copy"
    shutil.copytree(own, copy)
    assert snapshot("tensorboard", own, own.resolve(), copy, "-o", tmp_path / "logs") == (
        2, "",
        f"{copy}: the same run as {own.resolve()}, whose log it would overwrite; write one of them to another "
        "DIR with -o\n",
    )  # fmt: skip


def test_following_until_all_is_done(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    study = load(write(tmp_path / "s.yaml", STUDY | {"methods": ["snapshot", "single"]}))
    first, _ = plan.runs(study)
    directory, looked = RunDirectory.of(first, tmp_path / "results/own"), []

    def shown():
        return scalars(f"results/own/tensorboard/runs/{first.run_id}")["train/loss"]

    def sleep(seconds):
        looked.append(seconds)
        if len(looked) == 1:
            directory.start(first, {"started": "2026-01-01T00:00:00+00:00"})
            directory.write_metrics([ROW | {"iteration": 7}])
        elif len(looked) == 2:
            assert shown() == [(7, 2.5)]
            directory.write_metrics([ROW | {"iteration": 7}, ROW | {"iteration": 14}])
        else:
            assert shown() == [(7, 2.5), (14, 2.5)]
            finish_cells(
                study, tmp_path / "results/own", lambda run, k: k, rows=[ROW | {"iteration": 7}], train_examples=400
            )

    monkeypatch.setattr(tensorboard.time, "sleep", sleep)
    assert snapshot("tensorboard", "s.yaml", "--follow") == (
        0,
        "2 runs: 2 done; view them with tensorboard --logdir results/own/tensorboard\n",
        "2 runs: 2 waiting\n2 runs: 1 unfinished, 1 waiting\n",
    )
    assert looked == [5.0, 5.0, 5.0]
    assert shown() == [(7, 2.5)]
    found = scalars(f"results/own/tensorboard/runs/{first.run_id}")
    assert found["test_error/snapshot"] == [(14, 5.0), (28, 10.0)]
    assert found["test_error/last_m"][0] == (1, 10.0)
    found = scalars("results/own/tensorboard/ensembles/s/digits/resnet-8/Single-model")
    assert found["test_error/last_m"] == [(1, 10.0)]


def test_no_figures_of_what_is_not_finished(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    study = load(write(tmp_path / "s.yaml", STUDY))
    first = plan.runs(study)[0]
    RunDirectory.of(first, tmp_path / "results/own").start(first, {"started": "2026-01-01T00:00:00+00:00"})
    assert snapshot("tensorboard", "s.yaml")[::2] == (0, "")
    assert [path.name for path in Path("results/own/tensorboard").iterdir()] == ["runs"]


def test_what_cannot_be_read_hides_nothing_else(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    study = load(write(tmp_path / "s.yaml", STUDY))
    broken, other, *_ = finish_cells(study, tmp_path / "results/own", lambda run, k: k, rows=[ROW | {"iteration": 23}])
    path = broken.path / "metrics.csv"
    path.write_text("epoch\n")
    before = content("results/own/runs")
    code, out, errors = snapshot("tensorboard", "s.yaml")
    assert (code, out) == (1, "3 runs: 3 done; view them with tensorboard --logdir results/own/tensorboard\n")
    relative = path.relative_to(tmp_path)
    assert errors.splitlines()[0].startswith(f"{relative}: differs from what the run wrote; ")
    assert scalars(f"results/own/tensorboard/runs/{other.run.run_id}")["train/loss"] == [(23, 2.5)]
    assert content("results/own/runs") == before


def test_one_at_a_time(tmp_path):
    with lock.hold(tmp_path / "logs"):
        code, _, errors = snapshot("tensorboard", "e.yaml", "-o", tmp_path / "logs")
    assert code == 1
    assert errors.startswith(f"{tmp_path}/logs: in use by process ")


MISTAKES = [
    (
        [],
        2,
        f"snapshot tensorboard: {NOTHING_GIVEN}",
    ),
    (
        ["R", "e.yaml"],
        2,
        "snapshot tensorboard: expected one FILE, or run directories only, given R, e.yaml",
    ),
    (["nowhere"], 2, "nowhere: no such file, run directory or name; snapshot list shows the names"),
    (["nowhere.yaml"], 2, "nowhere.yaml: no such file; did you mean 'e.yaml'?"),
    (
        ["e.yaml", "--results-dir", "R"],
        1,
        "R: none of the runs has been started; type snapshot train e.yaml --results-dir R",
    ),
]


@pytest.mark.parametrize(("words", "code", "message"), MISTAKES)
def test_mistakes(words, code, message):
    assert snapshot("tensorboard", *words) == (code, "", f"{message}\n")


def test_of_a_dataset_that_is_not_prepared(run, tmp_path):
    place = f"results/own/runs/{run.run_id}"
    assert snapshot("tensorboard", place, "--data-dir", tmp_path) == (
        1, "", f"{place}: its dataset 'tiny' is not prepared in {tmp_path}; see --data-dir\n"
    )  # fmt: skip


def test_without_the_package(monkeypatch):
    monkeypatch.setattr("snapshot_cli.tracking.events.find_spec", lambda name: None)
    assert snapshot("tensorboard", "e.yaml") == (
        1, "", "snapshot tensorboard needs tensorboard, which is not installed; type: "
        "pip install 'snapshot-cli[tensorboard]'\n",
    )  # fmt: skip
