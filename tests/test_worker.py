import json
import os
import shlex
import signal
import sys
import time
from pathlib import Path

import pytest

from snapshot_cli.launch import failure, train_process, worker
from snapshot_cli.launch.worker import Worker

SERVE = "import socket, sys\nfrom snapshot_cli import fork_server\n"
SERVE += "fork_server.serve(socket.socket(fileno=0), lambda: exec(sys.argv[1]))\n"
SAY = "import json, os, sys; print(json.dumps([sys.argv[2:], dict(os.environ), sys.stdin.read(), os.getppid()]))"
WAIT = "import os, pathlib, time; pathlib.Path('ready').write_text(str(os.getpid())); time.sleep(60)"
STOPPED = """
import os, pathlib, time
from snapshot_cli.launch import train_process
from snapshot_cli.launch.signals import stop_request
with stop_request(train_process.launcher()) as stop:
    pathlib.Path("ready").write_text(str(os.getpid()))
    while not stop():
        time.sleep(0.01)
pathlib.Path("stopped").touch()
"""


@pytest.fixture
def slot(tmp_path, monkeypatch):
    """A worker whose runs are what their first argument says in Python, without the imports of a training."""
    monkeypatch.chdir(tmp_path)
    Path("serve.py").write_text(SERVE)
    stand_in = tmp_path / "python"
    program = shlex.join([sys.executable, str(tmp_path / "serve.py")])
    stand_in.write_text(f'#!/bin/sh\n[ "$*" = "-P -m snapshot_cli.fork_server" ] && exec {program}\n')
    stand_in.chmod(0o755)
    monkeypatch.setattr(worker.sys, "executable", str(stand_in))
    made = Worker({"OMP_NUM_THREADS": "3"})
    yield made
    made.close()


def wait(slot, seconds=30):
    end = time.monotonic() + seconds
    while (code := slot.poll()) is None:
        assert time.monotonic() < end
        time.sleep(0.005)
    return code


def appear(name, seconds=30):
    """Wait for a file with content and return it."""
    end = time.monotonic() + seconds
    while not (path := Path(name)).exists() or (name == "ready" and not path.read_text()):
        assert time.monotonic() < end
        time.sleep(0.005)
    return path.read_text()


def test_one_process_trains_one_run_after_another(slot):
    """Each has its arguments, the variables of the slot, no input and a log, as a process of its own has."""
    launchers = set()
    for name in ("a", "b"):
        slot.start([SAY, "--run", name], Path(name))
        assert wait(slot) == 0
        words, environment, read, parent = json.loads(Path(name, failure.LOG).read_text())
        assert (words, read) == (["--run", name], "")
        assert environment["OMP_NUM_THREADS"] == "3"
        assert environment[train_process.LAUNCHER] == str(parent)
        assert environment["PATH"] == os.environ["PATH"]
        launchers.add(parent)
    assert len(launchers) == 1


def test_the_log_grows_and_the_last_failure_is_forgotten(slot, tmp_path):
    (tmp_path / failure.LOG).write_text("before\n")
    (tmp_path / failure.FAILURE).write_text("no room\n")
    slot.start(["print('out', flush=True); print('error', file=sys.stderr)"], tmp_path)
    assert wait(slot) == 0
    assert (tmp_path / failure.LOG).read_text() == "before\nout\nerror\n"
    assert failure.read(tmp_path) is None


def test_a_run_that_fails_or_is_killed_takes_no_other(slot, tmp_path):
    codes = []
    for program in ("sys.exit(3)", "import os; os.kill(os.getpid(), 9)", "raise ValueError('no')", "pass"):
        slot.start([program], tmp_path)
        codes.append(wait(slot))
    assert codes == [3, -9, 1, 0]
    assert "ValueError: no" in (tmp_path / failure.LOG).read_text()


def test_a_worker_that_is_killed_loses_the_run_it_was_at(slot, tmp_path):
    slot.start([STOPPED], tmp_path)
    appear("ready")
    slot._process.kill()
    assert wait(slot) == -signal.SIGKILL
    appear("stopped")  # the run saved its state, as its launcher was gone
    slot.start(["pass"], tmp_path)
    assert wait(slot) == 0


def test_a_worker_that_is_killed_between_two_runs_is_replaced(slot, tmp_path):
    slot.start(["pass"], tmp_path)
    assert wait(slot) == 0
    slot._process.kill()
    slot._process.wait()
    slot.start(["sys.exit(4)"], tmp_path)
    assert wait(slot) == 4


def test_a_stop_reaches_the_run_and_ctrl_c_does_not_end_the_worker(slot, tmp_path):
    slot.start([STOPPED], tmp_path)
    appear("ready")
    os.kill(slot._process.pid, signal.SIGINT)  # which a terminal sends to all of its processes
    os.kill(slot._process.pid, signal.SIGHUP)
    assert slot.poll() is None
    slot.terminate()
    assert wait(slot) == 0
    assert Path("stopped").exists()
    assert slot._process.poll() is None


def test_a_run_has_the_handlers_of_a_process_of_its_own(slot, tmp_path):
    slot.start([WAIT], tmp_path)
    os.kill(int(appear("ready")), signal.SIGINT)
    assert wait(slot) == 130
    assert (tmp_path / failure.LOG).read_text() == "stopped; type the same command again\n"


def test_a_run_stops_when_the_driver_is_gone(slot, tmp_path):
    slot.start([STOPPED], tmp_path)
    appear("ready")
    assert slot.close() == 0
    appear("stopped")


def test_a_worker_that_does_not_start_says_why(slot, tmp_path):
    Path("serve.py").write_text("raise ImportError('no torch')")
    slot.start(["pass"], tmp_path)
    assert wait(slot) == 1
    assert failure.record(tmp_path, 1) == "ImportError: no torch"


def test_closing_what_never_started():
    assert Worker({}).close() is None
