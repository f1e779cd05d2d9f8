import json
import os
import re
import shutil
import signal
import sys
from pathlib import Path

import pytest
from command_line import EXPERIMENT, STUDY, snapshot, write
from fabricated_runs import finish_cells

from snapshot_cli.config import plan
from snapshot_cli.config.load import load
from snapshot_cli.errors import Stopped
from snapshot_cli.run_directory import RunDirectory

TINY = EXPERIMENT | {"budget": 2, "train_size": 60}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("train")


@pytest.fixture(autouse=True)
def here(folder, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.delenv("SNAPSHOT_DATA_DIR", raising=False)


@pytest.fixture(scope="module")
def trained(folder):
    """Train once and return exit code, stdout and stderr, and the run's directory as it is named."""
    write(folder / "tiny.yaml", TINY)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        answer = snapshot("train", "tiny.yaml", "--device", "cpu")
    (run,) = plan.runs(load(folder / "tiny.yaml"))
    return answer, f"results/own/runs/{run.run_id}"


@pytest.fixture
def no_training(monkeypatch):
    def refuse(*args, **options):
        raise AssertionError("trained")

    monkeypatch.setattr("snapshot_cli.training.loop.train", refuse)


def test_training_prints_lines_and_the_errors(trained):
    (code, out, errors), path = trained
    assert code == 0
    epoch = r"epoch {}/2  lr 0\.1000  loss \d+\.\d{{4}}  error \d+\.\d\d %  [\d,]+ images/s\n"
    assert re.fullmatch(f"training: {path}\n{epoch.format(1)}{epoch.format(2)}", errors)
    assert out.splitlines()[0].strip() == "Snapshot (α₀ = 0.1): resnet-8 on digits, 1,397 test images"
    found = json.loads(snapshot("eval", path, "--json")[1])
    both = [*found["members"], *found["ensembles"]]
    assert re.findall(r"  (\d+\.\d\d)  ", out) == [f"{one['top1_error']:.2f}" for one in both]


def test_a_finished_one_is_not_trained_again(trained, no_training):
    (_, out, _), path = trained
    assert snapshot("train", "tiny.yaml") == (0, out, f"already trained: {path}\n")
    assert snapshot("train", path)[::2] == (0, f"already trained: {path}\n")


def test_the_config_of_a_run_trains_it_again(trained, folder):
    """In another folder of results it gives the same predictions, bit for bit."""
    path = trained[1]
    code, _, errors = snapshot("train", f"{path}/config.yaml", "--results-dir", "again", "--device", "cpu")
    again = path.replace("results/own", "again")
    assert (code, errors.splitlines()[0]) == (0, f"training: {again}")
    one, other = RunDirectory(folder / path), RunDirectory(folder / again)
    assert one.run == other.run
    assert snapshot("train", f"{again}/config.yaml")[2] == f"already trained: {again}\n"
    for snapshot_number in (1, 2):
        assert (one.predictions("test", snapshot_number) == other.predictions("test", snapshot_number)).all()


def test_set_trains_another_run(trained, no_training):
    with pytest.raises(AssertionError, match="trained"):
        snapshot("train", "tiny.yaml", "--set", "alpha0=0.2", "--device", "cpu")
    (run,) = plan.runs(load(Path("tiny.yaml"), ["alpha0=0.2"]))
    assert RunDirectory.of(run, Path("results/own")).status == "partial"


def test_one_run_of_several(trained, no_training):
    path = trained[1]
    name = path.removeprefix("results/own/runs/")
    code, out, errors = snapshot("train", "tiny.yaml", "--run", name)
    assert (code, errors) == (0, f"already trained: {path}\n")
    assert out == snapshot("eval", path)[1]
    assert snapshot("train", "tiny.yaml", "--run", name[:-1]) == (
        2, "", f"--run {name[:-1]}: not the run of tiny.yaml; did you mean '{name}'?\n"
    )  # fmt: skip
    first = plan.runs(load(write(Path("study.yaml"), STUDY)))[0].run_id
    assert snapshot("train", "study.yaml", "--run", "qq") == (
        2, "", f"--run qq: not one of the 3 runs of study.yaml; the first is {first}\n"
    )  # fmt: skip


def test_several_runs_are_counted(folder, no_training):
    asked = load(write(folder / "study.yaml", STUDY))
    finish_cells(asked, folder / "results/own", lambda run, k: k)
    code, _, errors = snapshot("train", "study.yaml")
    names = [run.run_id for run in plan.runs(asked)]
    assert (code, errors.splitlines()) == (
        0, [f"run {k} of 3: already trained: results/own/runs/{name}" for k, name in enumerate(names, start=1)]
    )  # fmt: skip


def test_no_gpu(folder, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    write(folder / "other.yaml", TINY | {"seed": 9})
    code, out, errors = snapshot("train", "other.yaml", "--device", "cuda")
    assert (code, out) == (2, "")
    assert errors.splitlines() == [
        "--device cuda: torch finds no CUDA device here; use --device cpu, or --device auto to take what is there"
    ]


def test_images_that_nobody_has(folder):
    write(folder / "cifar.yaml", EXPERIMENT | {"dataset": "cifar10"})
    code, out, errors = snapshot("train", "cifar.yaml")
    assert (code, out) == (1, "")
    assert errors.startswith("cifar10: not prepared; type: snapshot data prepare cifar10 (downloads ")


def test_no_run_of_a_study_is_trained_before_all_of_them_can_be(folder, no_training):
    base = {key: value for key, value in EXPERIMENT.items() if key not in ("network", "method")}
    axes = {"network": ["resnet-8", "torchvision:squeezenet1_0"]}
    write(folder / "late.yaml", {"title": "Late", "base": base, "axes": axes, "methods": ["single"]})
    code, out, errors = snapshot("train", "--config", "late.yaml", "--device", "cpu", "--results-dir", "late")
    assert (code, out) == (1, "")
    assert errors.startswith("torchvision:squeezenet1_0: cannot take images of 8x8 pixels: ")
    assert not Path("late").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dataset": "digit"}, "e.yaml:1:1: dataset: unknown dataset 'digit'; did you mean 'digits'? "
         "For images of your own: snapshot data prepare digit --from FOLDER"),
        ({"cycles": "three"}, "e.yaml:5:1: cycles: expected a whole number, given 'three'"),
        ({"method": "singel"}, "e.yaml:3:1: method: expected 'single', 'dropout', 'nocycle', 'singlecycle', "
         "'snapshot' or 'ensemble', given 'singel'; did you mean 'single'?"),
    ],
)  # fmt: skip
def test_mistakes_in_the_file(folder, settings, message):
    write(folder / "e.yaml", EXPERIMENT | settings)
    assert snapshot("train", "e.yaml") == (2, "", message + "\n")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 75), (signal.SIGHUP, 75), (signal.SIGINT, 130)])
def test_the_exit_code_says_which_signal_stopped_it(folder, monkeypatch, number, code):
    def stopped(run, machine, stop, title):
        os.kill(os.getpid(), number)
        assert stop()
        raise Stopped("stopped after 3 steps")

    monkeypatch.setattr(sys.modules["snapshot_cli.commands.train"], "_train", stopped)
    write(folder / "e.yaml", TINY)
    assert snapshot("train", "e.yaml", "--set", "seed=77") == (code, "", "stopped after 3 steps\n")


def test_errors_between_snapshots_are_stored_after_the_training(folder, tiny_data):
    file = write(folder / "line.yaml", EXPERIMENT | {"dataset": "tiny", "budget": 1, "batch_size": 16})
    words = ("train", "line.yaml", "--device", "cpu", "--data-dir", tiny_data)
    (run,) = plan.runs(load(file))
    directory = RunDirectory.of(run, folder / "results/own")
    assert snapshot(*words)[0] == 0
    assert not directory.has_interpolation
    code, out, errors = snapshot(*words, "--interpolate")
    assert (code, errors) == (0, f"already trained: results/own/runs/{run.run_id}\n")
    assert "tiny" in out
    rows = RunDirectory(directory.path).interpolation()
    assert {(snapshot_number, statistics) for snapshot_number, _, statistics, _ in rows} == {
        (1, "mixed"), (1, "final"), (1, "reestimated")
    }  # fmt: skip
    stored = (directory.path / "interpolation.csv").stat().st_mtime_ns
    assert snapshot(*words, "--interpolate") == (0, out, errors)
    assert (directory.path / "interpolation.csv").stat().st_mtime_ns == stored


def test_errors_between_snapshots_of_a_run_of_which_only_the_scores_are_left(folder, tiny_data):
    file = write(folder / "lines.yaml", EXPERIMENT | {"dataset": "tiny", "budget": 1, "batch_size": 16, "seed": 5})
    words = ("train", "lines.yaml", "--device", "cpu", "--data-dir", tiny_data)
    directory = RunDirectory.of(plan.runs(load(file))[0], folder / "results/own")
    assert snapshot(*words)[0] == 0
    shutil.rmtree(directory.path)
    assert snapshot(*words)[0] == 0
    assert not directory.path.exists()
    assert snapshot(*words, "--interpolate")[0] == 0
    assert RunDirectory(directory.path).has_interpolation
    shutil.rmtree(directory.path)
    assert snapshot(*words, "--interpolate")[0] == 0
    assert not directory.path.exists()
