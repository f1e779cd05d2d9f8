import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from silent import Silent

from snapshot_cli import lock
from snapshot_cli.config import load, plan
from snapshot_cli.config.machine import Machine
from snapshot_cli.datasets import store
from snapshot_cli.datasets.manifest import to_json
from snapshot_cli.errors import Stopped, UserError
from snapshot_cli.launch import failure, in_process
from snapshot_cli.run_directory import RunDirectory
from snapshot_cli.training import hardware, loop, predictions

CONFIG = "dataset: tiny\nnetwork: resnet-8\nmethod: snapshot\nbudget: 100\nbatch_size: 16\ncycles: 2\n"


@pytest.fixture
def machine(tiny_data, tmp_path):
    return Machine(tiny_data, tmp_path, "cpu")


def message(run, machine, kind=UserError):
    with pytest.raises(kind) as caught:
        in_process.train(run, machine, callback=Silent())
    assert type(caught.value) is kind
    return str(caught.value)


def test_a_finished_run_trains_nothing(machine, tiny_run, monkeypatch):
    run = tiny_run(budget=1, cycles=1)
    directory = in_process.train(run, machine, callback=Silent())
    assert directory == RunDirectory.of(run, machine.results)
    assert directory.status == "done"
    before = {path: path.stat().st_mtime_ns for path in directory.path.rglob("*")}
    monkeypatch.setattr(loop, "train", None)
    assert in_process.train(run, machine, callback=Silent()) == directory
    assert {path: path.stat().st_mtime_ns for path in directory.path.rglob("*")} == before
    manifest = store.read_manifest(machine.data, "tiny")
    assert json.loads((directory.path / "machine.json").read_text())["dataset_hash"] == manifest.content_hash


def test_folders_of_a_run_that_lie_elsewhere_are_refused(machine, tiny_run, tmp_path):
    path = RunDirectory.of(tiny_run(), machine.results).path
    path.mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (path / "snapshots").symlink_to(tmp_path / "elsewhere")
    assert message(tiny_run(), machine) == (f"{path}/snapshots: a link; replace it by the folder that it leads to")
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_directory_of_another_run_is_refused_naming_the_keys(machine, tiny_run):
    run = tiny_run()
    directory = RunDirectory(RunDirectory.of(run, machine.results).path)
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


def test_images_that_changed_on_disk_are_not_trained_on(machine, tiny_run, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(machine.data, data)
    path = data / "tiny/train-images.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert message(tiny_run(), Machine(data, tmp_path, "cpu")).startswith(
        f"{data}/tiny: the manifest's content hash is "
    )
    assert not (tmp_path / "runs").exists()


def test_a_directory_in_use_is_left_alone(machine, tiny_run):
    run = tiny_run()
    directory = RunDirectory.of(run, machine.results)
    with lock.hold(directory.path):
        assert message(run, machine).startswith(f"{directory.path}: in use by process {os.getpid()} on ")
        assert [path.name for path in directory.path.iterdir()] == [".lock"]


@pytest.fixture(scope="module")
def finished(tiny_data, tiny_run, tmp_path_factory):
    folder, run = tmp_path_factory.mktemp("finished"), tiny_run(budget=1, cycles=2, holdout=10)
    return in_process.train(run, Machine(tiny_data, folder, "cpu"), callback=Silent()).path, run


@pytest.fixture
def again(finished, machine):
    """A finished run, copied to where it may be broken."""
    directory = RunDirectory.of(finished[1], machine.results)
    shutil.copytree(finished[0], directory.path)
    return directory


def test_why_it_failed_is_forgotten_when_it_is_tried_again(again, machine):
    directory = again
    (directory.path / "done.json").unlink()
    (directory.path / failure.FAILURE).write_text("disk full\n")
    with pytest.raises(Stopped):
        in_process.train(directory.run, machine, callback=Silent(), stop=lambda: True)
    assert failure.read(directory.path) is None


def test_lines_that_another_process_computes_are_waited_for(again, machine):
    rows = [{"snapshot": 1, "lambda": 0.0, "statistics": "final", "test_error": 1.0}]

    def finish():
        with lock.hold(again.path):
            held.set()
            time.sleep(0.3)
            RunDirectory.of(again.run, machine.results).write_interpolation(rows)

    held, other = threading.Event(), threading.Thread(target=finish)
    other.start()
    held.wait()
    with pytest.raises(UserError, match="in use by process"):
        in_process.interpolate(again.run, machine)
    in_process.interpolate(again.run, machine, lock_timeout=60)
    other.join()
    assert RunDirectory.of(again.run, machine.results).interpolation() == [(1, 0.0, "final", 1.0)]


@pytest.mark.parametrize("split", ["test", "holdout"])
def test_predictions_that_differ_are_refused_and_once_deleted_computed_again(again, machine, split):
    path = again.path / f"predictions/{split}-2.npy"
    content = path.read_bytes()
    path.write_bytes((again.path / f"predictions/{split}-1.npy").read_bytes())
    with pytest.raises(UserError) as caught:
        again.predictions(split, 2)
    assert str(caught.value) == (
        f"{path}: differs from what the run wrote; delete it and type snapshot train "
        f"{again.path}, which computes it again from the snapshot"
    )
    path.unlink()
    (again.path / f"predictions/{split}-labels.npy").unlink()
    before = (again.path / "done.json").read_bytes(), (again.path / "manifest.json").read_bytes()
    in_process.train(again.run, machine, callback=Silent())
    assert path.read_bytes() == content
    assert ((again.path / "done.json").read_bytes(), (again.path / "manifest.json").read_bytes()) == before
    assert again.verify() == ([], [])


def test_a_stop_while_predictions_are_computed_again(again, machine):
    lost = {path: path.read_bytes() for path in again.path.glob("predictions/*-2.npy")}
    for path in lost:
        path.unlink()
    with pytest.raises(Stopped, match="stopped while predicting; type the same command to resume"):
        in_process.train(again.run, machine, callback=Silent(), stop=lambda: True)
    assert not any(path.exists() for path in lost)
    in_process.train(again.run, machine, callback=Silent())
    assert {path: path.read_bytes() for path in lost} == lost
    assert again.verify() == ([], [])


def test_predictions_computed_again_elsewhere_get_a_new_seal(again, machine, monkeypatch):
    (again.path / "predictions/test-1.npy").unlink()
    real = predictions.predict
    monkeypatch.setattr(predictions, "predict", lambda *a: np.nextafter(real(*a), np.float32(9)))
    in_process.train(again.run, machine, callback=Silent())
    assert RunDirectory(again.path).verify() == ([], [])
    assert RunDirectory(again.path).predictions("test", 1).shape == (23, 4)


def test_predictions_whose_weights_were_not_kept_are_not_computed(again, machine):
    shutil.rmtree(again.path / "snapshots")
    (again.path / "predictions/test-2.npy").unlink()
    in_process.train(again.run, machine, callback=Silent())
    with pytest.raises(UserError) as caught:
        again.predictions("test", 2)
    path = again.path / "predictions/test-2.npy"
    assert str(caught.value) == f"{path}: not there; delete {again.path} and train it again"


def test_a_state_that_a_killed_process_left_behind_a_finished_run_goes(again, machine):
    again.resume_path.write_bytes(b"x")
    (again.path / ".done.json.12.tmp").write_bytes(b"x")
    in_process.train(again.run, machine, callback=Silent())
    assert not again.resume_path.exists()
    assert not (again.path / ".done.json.12.tmp").exists()
    assert again.verify() == ([], [])


class Stop(Silent):
    """Asks to stop after a step."""

    def __init__(self, wanted):
        self.wanted, self.now = wanted, 0

    def on_step(self, step, lr):
        self.now = step

    def __call__(self):
        return self.now >= self.wanted


@pytest.fixture
def partial(machine, tiny_run):
    run, stop = tiny_run(), Stop(10)
    with pytest.raises(Stopped):
        in_process.train(run, machine, callback=stop, stop=stop)
    return RunDirectory.of(run, machine.results)


def test_a_snapshot_that_changed_meanwhile_stops_the_run_at_once(partial, machine):
    path = partial.snapshot_path(1)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    callback = Stop(99)
    with pytest.raises(UserError) as caught:
        in_process.train(partial.run, machine, callback=callback)
    assert str(caught.value) == f"{path}: differs from what the run wrote; delete {partial.path} and train it again"
    assert callback.now == 0  # not after hours of training
    path.unlink()
    again = f"delete {partial.path} and train it again"
    assert message(partial.run, machine) == f"{path}: the weights of this snapshot were not kept; {again}"


def test_going_on_elsewhere_is_told_and_recorded(partial, machine, monkeypatch):
    place = partial.machine
    elsewhere = {"device_name": "Abacus", "threads": 7, "commit": "c0ffee"}
    elsewhere["uncommitted_changes"] = not place["uncommitted_changes"]
    monkeypatch.setattr(hardware, "describe", lambda device, network: place | elsewhere | {"started": "later"})
    told, stop = [], Stop(12)
    with pytest.raises(Stopped):
        in_process.train(partial.run, machine, callback=stop, stop=stop, note=told.append)
    assert told == [
        f"{partial.path}: resumes with device_name {place['device_name']} -> Abacus; threads {place['threads']} -> 7: "
        "numbers may differ in their last digits from those of an uninterrupted run"
    ]
    in_process.train(partial.run, machine, callback=Silent(), note=told.append)
    assert len(told) == 1  # the second time nothing differs
    found = RunDirectory(partial.path)
    later = {"started": "later", **elsewhere}
    assert found.environments == [place | {"resumed": [later]}, later]
    assert found.uncommitted_changes  # here or there


def test_the_deterministic_mode_holds_during_the_training_and_is_recorded(machine, tiny_run, monkeypatch):
    seen, real = [], loop.step
    monkeypatch.setattr(loop, "step", lambda *a: (seen.append(torch.backends.cudnn.deterministic), real(*a))[1])
    run = tiny_run(budget=1)
    in_process.train(run, replace(machine, deterministic=True), callback=Silent())
    assert set(seen) == {True}
    assert RunDirectory.of(run, machine.results).machine["deterministic"] is True
    assert not torch.backends.cudnn.deterministic


def test_a_state_of_an_earlier_version_was_not_deterministic(partial, machine):
    place = {name: value for name, value in partial.machine.items() if name != "deterministic"}
    (partial.path / "machine.json").write_text(json.dumps(place))
    told, stop = [], Stop(12)
    with pytest.raises(Stopped):
        in_process.train(partial.run, machine, callback=stop, stop=stop, note=told.append)
    assert told == []
    in_process.train(partial.run, replace(machine, deterministic=True), callback=Silent(), note=told.append)
    assert told[0].startswith(f"{partial.path}: resumes with deterministic False -> True: numbers may differ")


def test_going_on_at_the_same_place_is_not_recorded(partial, machine):
    before, told = (partial.path / "machine.json").read_bytes(), []
    in_process.train(partial.run, machine, callback=Silent(), note=told.append)
    assert told == []
    assert (partial.path / "machine.json").read_bytes() == before


def test_digits_prepare_themselves(tmp_path):
    machine = Machine(tmp_path / "data", tmp_path)
    manifest = in_process.ensure_prepared("digits", machine)
    assert (manifest.train, manifest.test) == (400, 1397)
    assert in_process.ensure_prepared("digits", machine) == manifest == store.verify(tmp_path / "data", "digits")


def test_digits_in_another_split_are_refused(tmp_path):
    machine = Machine(tmp_path / "data", tmp_path)
    older = replace(in_process.ensure_prepared("digits", machine), train=1437, test=360)
    (tmp_path / "data/digits/manifest.json").write_text(to_json(older))
    with pytest.raises(UserError) as caught:
        in_process.ensure_prepared("digits", machine)
    assert str(caught.value) == (
        f"{tmp_path}/data/digits: has 1,437 training and 360 test images, as an older version split them, not 400 and "
        "1,397; type snapshot data prepare digits --replace"
    )


@pytest.mark.parametrize("name", ["cifar10", "cifar10-16"])
def test_cifar10_has_to_be_prepared_by_hand(tmp_path, tiny_run, name):
    size = " --size 16" if name.endswith("16") else ""
    assert message(tiny_run(dataset=name), Machine(tmp_path, tmp_path), UserError) == (
        f"cifar10: not prepared; type: snapshot data prepare cifar10{size} (downloads "
        "cifar-10-binary.tar.gz; to use local files, add --from PATH)"
    )
    assert not (tmp_path / "runs").exists()


def start(folder, data, results):
    command = [sys.executable, "-m", "snapshot_cli", "train", str(folder / "tiny.yaml")]
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
        assert re.search(r"^tiny/\S+: stopped after \d+ steps; type the same command to resume$", words, re.MULTILINE)
        assert "Traceback" not in words
        (metrics,) = broken.glob("runs/*/*/metrics.csv")
    (run,) = plan.runs(load.load(tmp_path / "tiny.yaml", (), training_examples={"tiny": 90}))
    for results in (broken, unbroken):
        in_process.train(run, Machine(tiny_data, results, "cpu", 1), callback=Silent())
    found = weights_and_predictions(broken)
    assert sorted(found) == [
        "predictions/test-1.npy",
        "predictions/test-2.npy",
        "predictions/test-labels.npy",
        "snapshots/1.safetensors",
        "snapshots/2.safetensors",
    ]
    assert found == weights_and_predictions(unbroken)
    assert len(metrics.read_text().splitlines()) == 101


def test_a_file_that_may_not_grow_so_large_is_told_and_the_run_goes_on_when_it_may(tiny_data, tmp_path):
    (tmp_path / "tiny.yaml").write_text(CONFIG.replace("budget: 100", "budget: 2"))
    command = f"ulimit -f 200; exec {sys.executable} -m snapshot_cli train tiny.yaml --data-dir {tiny_data} "
    command += "--results-dir results --device cpu --threads 1"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False)
    (run,) = plan.runs(load.load(tmp_path / "tiny.yaml", (), training_examples={"tiny": 90}))
    directory = RunDirectory.of(run, tmp_path / "results")
    assert (done.returncode, done.stderr.splitlines()[-1]) == (
        1,
        f"results/runs/{run.run_id}/snapshots/1.safetensors: File too large; make room, then type the "
        "same command to resume",
    )
    assert directory.status == "partial"
    assert not list(directory.path.rglob(".*"))
    in_process.train(run, Machine(tiny_data, tmp_path / "results", "cpu", 1), callback=Silent())
    assert directory.verify() == ([], [])


def test_bfloat16_is_remarked_on_where_it_does_not_pay(machine, tiny_run, monkeypatch):
    monkeypatch.setattr(hardware, "bfloat16_unit", lambda: None)
    runs = [tiny_run(), tiny_run(precision="bfloat16")]
    assert in_process.precision_warning(runs, machine).startswith(
        "precision: bfloat16 is slower than float32 on this processor"
    )
    assert in_process.precision_warning(runs[:1], machine) is None
    monkeypatch.setattr(hardware, "bfloat16_unit", lambda: "AMX")
    assert in_process.precision_warning(runs, machine) is None


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried to"),
    ],
)
def test_a_lack_of_memory_is_told_and_the_run_resumes(machine, tiny_run, monkeypatch, error):
    def full(*arguments):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(loop, "step", full)
        words = message(tiny_run(budget=1), machine)
    path = RunDirectory.of(tiny_run(budget=1), machine.results).path
    assert words == (
        f"{path}: out of memory; choose a smaller batch_size, or train fewer runs at a time (snapshot estimate shows "
        "the memory of a run)"
    )
    assert in_process.train(tiny_run(budget=1), machine, callback=Silent()).status == "done"
