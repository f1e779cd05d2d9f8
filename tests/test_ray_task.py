"""What runs on a node, without Ray: a process of one's own is a stand-in for `snapshot train`."""

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from snapshot_cli.config.experiment import Run
from snapshot_cli.config.machine import Machine
from snapshot_cli.launch import ray_task, train_process
from snapshot_cli.launch.ray_task import Lost, Task


@pytest.fixture
def process(monkeypatch):
    """A function that lets every training be a script; it returns what the processes were started with."""
    monkeypatch.setattr(ray_task, "POLL_SECONDS", 0.02)
    started = []

    def be(script):
        def start(arguments, directory, variables):
            directory.mkdir(parents=True, exist_ok=True)
            config = yaml.safe_load(Path(arguments[1]).read_text())
            started.append((arguments, variables, config))
            return subprocess.Popen([sys.executable, "-S", "-c", script], cwd=directory)

        monkeypatch.setattr(train_process, "start", start)
        return started

    return be


@pytest.fixture
def task(tmp_path, tiny_run):
    """A task whose results are shared."""
    (tmp_path / "marker").touch()
    machine = Machine(tmp_path / "D", tmp_path / "R")
    return Task(tiny_run(), machine, ("--interpolate",), False, tmp_path / "marker", {"here": 4, "there": 2}, {})


def changed(task, **changes):
    return Task(**{name: getattr(task, name) for name in task.__dataclass_fields__} | changes)


def test_a_run_travels_whole_and_has_one_thread_and_no_gpu(task, process):
    started = process("")
    assert ray_task.work(task) == (0, {})
    ((arguments, variables, config),) = started
    assert Run(**config) == task.run
    assert arguments[arguments.index("--interpolate") + 1 :][:2] == ["--run", task.run.run_id]
    assert arguments[arguments.index("--threads") + 1] == "1"
    assert variables == {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    assert not Path(arguments[2]).exists()  # the file that it travelled in


@pytest.mark.parametrize(
    ("host", "asked", "expected"),
    [("here", None, "2"), ("there", None, "4"), ("joined later", None, "2"), ("crowded", None, "1"), ("here", 0, "0")],
)
def test_runs_side_by_side_share_the_processors_for_decoding(task, process, monkeypatch, host, asked, expected):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: range(8 if host != "crowded" else 3))
    monkeypatch.setattr(ray_task.socket, "gethostname", lambda: host)
    started = process("")
    ray_task.work(changed(task, machine=replace(task.machine, workers=asked)))
    arguments = started[0][0]
    assert arguments[arguments.index("--workers") + 1] == expected


def test_on_a_gpu_ray_has_said_which(task, process):
    machine = Machine(task.machine.data, task.machine.results, threads=3)
    started = process("")
    ray_task.work(changed(task, on_gpu=True, machine=machine))
    assert started[0][1] == {"OMP_NUM_THREADS": "3"}


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("import os; os.kill(os.getpid(), 9)", "killed by signal 9"),
        ("raise SystemExit(75)", "stopped by another program, again and again"),
    ],
)
def test_a_process_that_somebody_ended_is_lost(task, process, script, words):
    process(script)
    with pytest.raises(Lost) as caught:
        ray_task.work(task)
    assert str(caught.value) == words


def test_a_failure_is_no_loss(task, process):
    process("raise SystemExit(2)")
    assert ray_task.work(task) == (2, {})


LEFT = """
import pathlib
pathlib.Path("predictions").mkdir()
for name in ("done.json", "predictions/test-1.npy", "resume.pt", ".lock", "predictions/.test-2.npy.7.tmp"):
    pathlib.Path(name).write_text(name)
"""


def test_what_is_not_shared_is_brought_done_json_last(task, process, tmp_path, monkeypatch):
    process(LEFT)
    code, files = ray_task.work(changed(task, marker=tmp_path / "not here"))
    assert (code, files) == (0, {"done.json": b"done.json", "predictions/test-1.npy": b"predictions/test-1.npy"})
    written, real = [], ray_task.write_atomically
    monkeypatch.setattr(ray_task, "write_atomically", lambda path, write: (written.append(path), real(path, write)))
    ray_task.write_files(files, tmp_path / "here")
    assert [path.name for path in written] == ["test-1.npy", "done.json"]
    assert ray_task.read_files(tmp_path / "here") == files


@pytest.mark.parametrize(("shared", "expected"), [(True, []), (False, ["config.yaml", "done.json"])])
def test_a_finished_run_is_there_before_its_lines_are_computed(task, process, tmp_path, shared, expected):
    process(
        "import pathlib; pathlib.Path('seen').write_text(' '.join(sorted(p.name for p in pathlib.Path().iterdir())))"
    )
    finished = {"done.json": b"{}", "config.yaml": b"seed: 0"}
    ray_task.work(changed(task, finished=finished, marker=task.marker if shared else tmp_path / "not here"))
    assert (train_process.directory(task.run, task.machine) / "seen").read_text().split() == expected


def test_nothing_goes_along_with_a_run_that_is_not_finished(tmp_path):
    (tmp_path / "config.yaml").write_text("seed: 0")
    assert ray_task.read_finished(tmp_path) == {}
    (tmp_path / "done.json").write_text("{}")
    assert ray_task.read_finished(tmp_path) == {"config.yaml": b"seed: 0", "done.json": b"{}"}


def test_cancelled_it_lets_the_process_save_its_state(task, process, monkeypatch):
    """Ray raises KeyboardInterrupt in the worker."""
    process(
        "import pathlib, signal, sys, time\n"
        "def stop(*_):\n    time.sleep(0.3)\n    pathlib.Path('saved').touch()\n    sys.exit(75)\n"
        "signal.signal(signal.SIGTERM, stop)\npathlib.Path('ready').touch()\ntime.sleep(60)"
    )
    directory = train_process.directory(task.run, task.machine)

    def interrupted(seconds):
        if (directory / "ready").exists():
            raise KeyboardInterrupt
        sleep(seconds)

    sleep = time.sleep
    monkeypatch.setattr(ray_task.time, "sleep", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ray_task.work(task)
    assert (directory / "saved").exists()


def test_the_mark_is_there_as_long_as_the_driver(tmp_path):
    with ray_task.sharing_marker(tmp_path / "R") as marker:
        assert list((tmp_path / "R").iterdir()) == [marker]
    assert list((tmp_path / "R").iterdir()) == []
