import json
import os
import pickle
import socket

import pytest
import silent

from snapshot_cli import lock
from snapshot_cli.config.machine import Machine
from snapshot_cli.config.plan import run_label
from snapshot_cli.errors import Stopped
from snapshot_cli.launch import failure, run_status
from snapshot_cli.launch.run_status import RunStatus
from snapshot_cli.run_directory import RunDirectory
from snapshot_cli.training import loop

ROW = {"epoch": 1, "iteration": 6, "rate": 0.05, "train_error": 45.678, "images_per_second": 87.0}


@pytest.fixture
def started(tmp_path, tiny_run):
    """A run with one epoch behind it."""
    directory = RunDirectory.of(tiny_run(), tmp_path)
    directory.start(tiny_run(), {})
    directory.write_metrics([ROW])
    return directory


def look(directory, tmp_path):
    return run_status.read_status(RunDirectory(directory.path), directory.expected, 270)


def hold(directory, *, pid, host):
    (directory.path / ".lock").write_text(json.dumps({"pid": pid, "host": host, "since": "then"}))


def test_nothing_there(tmp_path, tiny_run):
    assert run_status.read_status(RunDirectory.of(tiny_run(), tmp_path), tiny_run(), 270) == RunStatus(
        tiny_run().run_id, "waiting", 270, name=run_label(tiny_run())
    )


def test_stopped_after_an_epoch(started, tmp_path):
    found = look(started, tmp_path)
    assert found == RunStatus(started.run.run_id, "stopped", 270, 96, 0.05, 45.678, 87.0, name=run_label(started.run))
    assert found.left == 2.0


def test_running_while_the_lock_is_held(started, tmp_path):
    with lock.hold(started.path):
        assert (look(started, tmp_path).state, look(started, tmp_path).where) == (
            "running", f"{socket.gethostname()}, process {os.getpid()}"
        )  # fmt: skip
    assert look(started, tmp_path).state == "stopped"


def test_a_lock_that_a_killed_process_left(started, tmp_path):
    pid = os.spawnlp(os.P_NOWAIT, "true", "true")
    os.waitpid(pid, 0)
    hold(started, pid=pid, host=socket.gethostname())
    assert look(started, tmp_path).state == "stopped"


def test_a_host_that_has_long_been_silent(started, tmp_path):
    hold(started, pid=1, host="far")
    assert (look(started, tmp_path).where, look(started, tmp_path).note) == ("far, process 1", "")
    os.utime(started.path / ".lock", (0, 0))
    assert look(started, tmp_path).note.startswith("no sign of life for ")


def test_failed_when_it_was_last_tried(started, tmp_path):
    (started.path / failure.FAILURE).write_text("the loss is not finite\n")
    found = look(started, tmp_path)
    assert (found.state, found.note, found.seen) == ("failed", "the loss is not finite", 96)
    hold(started, pid=1, host="far")
    assert look(started, tmp_path).state == "running"


@pytest.mark.parametrize("rest", ["\n", "\nx\n", ",rate\n6\n", "\n6\n", "\nnan\n", "\ninf\n", None])
def test_half_a_table_is_no_fault(started, tmp_path, rest):
    (started.path / "metrics.csv").write_text("" if rest is None else f"iteration{rest}")
    assert (look(started, tmp_path).state, look(started, tmp_path).seen) == ("stopped", 0)


def test_summary():
    runs = [
        RunStatus("a", "done", 100, 100, images_per_second=1000.0),
        RunStatus("b", "running", 100, 50, images_per_second=5.0),
        RunStatus("c", "waiting", 100), RunStatus("d", "failed", 100),
    ]  # fmt: skip
    assert run_status.summary(runs) == (
        "4 runs: 1 done, 1 waiting, 1 failed, 1 running; 37.5 % done, 50 s left at 5 images/s"
    )
    assert run_status.summary(runs[:1]) == "1 run: 1 done; 100.0 % done"
    assert run_status.summary([]) == "0 runs: "


def test_a_run_that_was_stopped_in_its_first_epoch(tiny_run, tiny_dataset, tmp_path):
    run = tiny_run()
    directory = RunDirectory.of(run, tmp_path)
    directory.start(run, {"dataset_hash": tiny_dataset.manifest.content_hash})
    with pytest.raises(Stopped):
        loop.train(run, tiny_dataset, directory, Machine(device="cpu"), callback=silent.Silent(), stop=lambda: True)
    assert not directory.metrics()
    assert (look(directory, tmp_path).state, look(directory, tmp_path).seen) == ("stopped", run.batch_size)


@pytest.mark.parametrize("content", [b"", b"no zip", pickle.dumps({"progress": {"iteration": 3}})])
def test_a_damaged_checkpoint_counts_for_nothing(started, tmp_path, content):
    started.resume_path.write_bytes(content)
    assert look(started, tmp_path).seen == 96
