import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
import yaml

from snapshot_cli import lock
from snapshot_cli.run_directory import RunDirectory

STUDY = """\
title: Killed
base: {dataset: tiny, network: resnet-8, budget: 12, batch_size: 4, cycles: 3, dropout: 0.2}
methods: [snapshot, nocycle, ensemble]
render: {table: methods}
"""
TIMES = ("seconds", "images_per_second")
KINDS = {
    "cosine with dropout": {"method": "snapshot", "dropout": 0.2, "cycles": 5},
    "step with a holdout": {"method": "nocycle", "train_size": 50, "holdout": 20, "cycles": 6},
}


def training(tiny_data, folder, *, budget, kills, seed, **settings):
    """Train unbroken, and killed at random moments, and return what killing.py says and both directories."""
    settings = {"dataset": "tiny", "network": "resnet-8", "budget": budget, "batch_size": 16, "alpha0": 0.1} | settings
    (folder / "tiny.yaml").write_text(yaml.safe_dump(settings))
    script = Path(__file__).with_name("killing.py")
    command = [sys.executable, script, folder / "tiny.yaml", tiny_data, folder, str(kills), str(seed)]
    done = subprocess.run(
        command, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=True
    )
    places = [
        RunDirectory(path.parent)
        for name in ("unbroken", "killed")
        for path in folder.rglob(f"{name}/runs/**/done.json")
    ]
    return json.loads(done.stdout), *places


def results(directory):
    """The hashes of weights, predictions and configuration, and metrics.csv without the times."""
    hashes = json.loads((directory.path / "manifest.json").read_text())
    rows = [{name: value for name, value in row.items() if name not in TIMES} for row in directory.metrics()]
    return {name: value for name, value in hashes.items() if name not in ("machine.json", "metrics.csv")}, rows


def check(said, unbroken, killed, kills):
    assert said["codes"] == [0, 0]
    assert said["killed"] == kills
    assert results(unbroken) == results(killed)
    assert killed.verify() == ([], [])
    assert sorted(path.name for path in killed.path.iterdir()) == [
        "config.yaml", "done.json", "machine.json", "manifest.json", "metrics.csv", "predictions", "snapshots",
    ]  # fmt: skip


def test_a_training_that_is_killed_three_times_ends_as_one_that_is_not(tiny_data, tmp_path):
    found = training(tiny_data, tmp_path, budget=12, kills=3, seed=os.getpid(), **KINDS["cosine with dropout"])
    check(*found, 3)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", [1, 2])
def test_a_training_that_is_killed_twenty_times_ends_as_one_that_is_not(tiny_data, tmp_path, kind, seed):
    found = training(tiny_data, tmp_path, budget=120, kills=20, seed=seed, **KINDS[kind])
    print(found[0])
    check(*found, 20)


def parent_worker(pid):
    """Return the worker that forked a process; OSError where it has ended, so that nothing else is killed."""
    parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]
    if b"snapshot_cli.fork_server" not in Path(f"/proc/{parent}/cmdline").read_bytes():
        raise ProcessLookupError(parent)
    return int(parent)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_runs_of_a_slot_that_are_killed_end_as_runs_that_are_not(tiny_data, tmp_path):
    """A run's process, or that of its slot, is killed again and again, and the same command typed until all is done."""
    study = tmp_path / "study.yaml"
    study.write_text(STUDY)
    folders = [tmp_path / "unbroken", tmp_path / "killed"]
    commands = [
        [sys.executable, "-m", "snapshot_cli", "reproduce", study, "--data-dir", tiny_data, "--results-dir", folder,
         "--device", "cpu", "--threads", "1", "--jobs", "1", "--checkpoint-seconds", "0"]
        for folder in folders
    ]  # fmt: skip
    subprocess.run(commands[0], check=True, capture_output=True)
    draw, kills = random.Random(1), 0
    while kills < 12:
        with subprocess.Popen(commands[1], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as driver:
            while driver.poll() is None:
                time.sleep(draw.uniform(0, 3))
                for holder in filter(None, map(lock.holder, folders[1].glob("runs/*/*"))):
                    with suppress(OSError):  # it has just ended
                        os.kill(holder.pid if draw.random() < 0.7 else parent_worker(holder.pid), signal.SIGKILL)
                        kills += 1
        if driver.returncode == 0:
            break
    subprocess.run(commands[1], check=True, capture_output=True)
    print(kills, "killed")
    for done in folders[0].rglob("done.json"):
        unbroken = RunDirectory(done.parent)
        killed = RunDirectory(folders[1] / done.parent.relative_to(folders[0]))
        assert results(unbroken) == results(killed)
        assert killed.verify() == ([], [])
