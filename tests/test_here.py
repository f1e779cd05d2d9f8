import json
import os
import re
import signal
import subprocess
import sys

import pytest

from snapshot_cli.config import load, plan
from snapshot_cli.config.machine import Machine
from snapshot_cli.datasets import store
from snapshot_cli.errors import ConfigError, UserError
from snapshot_cli.launch import here
from snapshot_cli.run_directory import RunDirectory
from snapshot_cli.training import loop

CONFIG = "dataset: tiny\nnetwork: resnet-8\nmethod: snapshot\nbudget: 40\nbatch_size: 16\ncycles: 2\n"


class Silent:
    def begin(self, done, iterations, epoch_length):
        pass

    def iteration(self, iteration, rate):
        pass

    def epoch(self, row):
        pass


@pytest.fixture
def machine(tiny_data, tmp_path):
    return Machine(tiny_data, tmp_path, "cpu")


def message(run, machine, kind=UserError):
    with pytest.raises(kind) as caught:
        here.train(run, machine, watcher=Silent())
    assert type(caught.value) is kind
    return str(caught.value)


def test_a_finished_run_trains_nothing(machine, tiny_run, monkeypatch):
    run = tiny_run(budget=1, cycles=1)
    directory = here.train(run, machine, watcher=Silent())
    assert directory == RunDirectory.of(run, machine.results)
    assert directory.status == "done"
    before = {path: path.stat().st_mtime_ns for path in directory.path.rglob("*")}
    monkeypatch.setattr(loop, "train", None)
    assert here.train(run, machine, watcher=Silent()) == directory
    assert {path: path.stat().st_mtime_ns for path in directory.path.rglob("*")} == before
    manifest = store.read_manifest(machine.data, "tiny")
    assert json.loads((directory.path / "machine.json").read_text())["dataset_hash"] == manifest.content_hash


def test_a_directory_of_another_run_is_refused_naming_the_keys(machine, tiny_run):
    run = tiny_run()
    directory = RunDirectory.of(run, machine.results)
    directory.start(tiny_run(alpha0=0.2, seed=7), {"dataset_hash": "x"})
    assert message(run, machine) == (
        f"{directory.path}: holds another run: alpha0, seed differ; delete it and train it again"
    )


@pytest.mark.parametrize("done", [False, True])
def test_a_run_on_other_images_is_refused(machine, tiny_run, done):
    run = tiny_run()
    directory = RunDirectory.of(run, machine.results)
    directory.start(run, {"dataset_hash": "of other images"})
    if done:
        directory.finish({})
    assert message(run, machine) == (
        f"{directory.path}: was trained on other images than those prepared as 'tiny' now; "
        "prepare the dataset that it was trained on, or delete the directory and train it again"
    )


def test_digits_prepare_themselves(tmp_path):
    machine = Machine(tmp_path / "data", tmp_path)
    manifest = here.prepared("digits", machine)
    assert (manifest.train, manifest.test) == (1437, 360)
    assert here.prepared("digits", machine) == manifest == store.verify(tmp_path / "data", "digits")


@pytest.mark.parametrize("name", ["cifar10", "cifar10-16"])
def test_cifar10_has_to_be_prepared_by_hand(tmp_path, tiny_run, name):
    size = " --size 16" if name.endswith("16") else ""
    assert message(tiny_run(dataset=name), Machine(tmp_path, tmp_path), ConfigError) == (
        f"cifar10 has to come from somewhere; type: snapshot data prepare cifar10{size} --from PATH (PATH: "
        "cifar-10-binary.tar.gz from https://www.cs.toronto.edu/~kriz/cifar.html, or a folder or zip with the same "
        "images as {train,test}/<class>/<file>)"
    )
    assert not (tmp_path / "runs").exists()


def start(folder, data, results):
    command = [sys.executable, "-m", "snapshot_cli", "train", "--config", str(folder / "tiny.yaml")]
    command += ["--data-dir", str(data), "--results-dir", str(results), "--device", "cpu", "--threads", "1"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ.copy())


def stop_in_mid_run(process, number):
    """Send a signal once an epoch has ended and return what the process wrote to stderr."""
    lines = []
    for line in process.stderr:
        lines.append(line)
        if line.startswith("epoch ") and process.poll() is None:
            process.send_signal(number)
            break
    return "".join(lines) + process.communicate(timeout=120)[1]


def weights_and_predictions(results):
    (manifest,) = results.glob("runs/*/*/manifest.json")
    return {
        name: digest
        for name, digest in json.loads(manifest.read_text()).items()
        if name.startswith(("snapshots/", "predictions/"))
    }


def test_signals_stop_a_process_and_it_goes_on_to_the_same_bytes(tiny_data, tmp_path):
    (tmp_path / "tiny.yaml").write_text(CONFIG)
    broken, unbroken = tmp_path / "broken", tmp_path / "unbroken"
    for number, code in ((signal.SIGTERM, 75), (signal.SIGINT, 130)):
        process = start(tmp_path, tiny_data, broken)
        words = stop_in_mid_run(process, number)
        assert process.returncode == code, words
        assert re.search(
            r"^tiny/\S+: stopped after \d+ iterations; the same command goes on from there$", words, re.MULTILINE
        )
        assert "Traceback" not in words
        (metrics,) = broken.glob("runs/*/*/metrics.csv")
    (run,) = plan.runs(load.load(tmp_path / "tiny.yaml", (), training_examples={"tiny": 90}))
    for results in (broken, unbroken):
        here.train(run, Machine(tiny_data, results, "cpu", 1), watcher=Silent())
    found = weights_and_predictions(broken)
    assert sorted(found) == [
        "predictions/test-1.npy",
        "predictions/test-2.npy",
        "predictions/test-labels.npy",
        "snapshots/1.safetensors",
        "snapshots/2.safetensors",
    ]
    assert found == weights_and_predictions(unbroken)
    assert len(metrics.read_text().splitlines()) == 41
