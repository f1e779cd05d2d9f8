"""The k-th write, flush, rename or flush of a folder fails, for every k; and a disk that is full."""

import errno
import json
import os
from pathlib import Path

import pytest
import torch
from silent import Silent

from snapshot_cli import files
from snapshot_cli.config.machine import Machine
from snapshot_cli.errors import UserError
from snapshot_cli.launch import in_process
from snapshot_cli.run_directory import RunDirectory
from snapshot_cli.training import checkpoint, hardware

STEPS = 2
SETTINGS = {"train_size": 20, "batch_size": 10, "budget": 1}  # a snapshot after each of two steps


class Disk:
    """Counts what is done to files; from one operation on it fails, once or for good, after half of what is written."""

    def __init__(self, patch, *, failing=None, times=1):
        self.done, self.failing, self.times = [], failing, times
        for name in ("fsync", "replace"):
            patch.setattr(files.os, name, self.watched(name, getattr(os, name)))
        patch.setattr(Path, "open", self.opened(Path.open))
        patch.setattr(Path, "unlink", self.watched_if_dead(Path.unlink))

    def fails(self):
        return self.failing is not None and self.failing <= len(self.done) < self.failing + self.times

    def note(self, name):
        failing = self.fails()
        self.done.append(name)
        if failing:
            raise OSError(errno.EIO, "Input/output error")

    def watched(self, name, real):
        return lambda *arguments: (self.note(name), real(*arguments))[1]

    def watched_if_dead(self, real):
        def unlink(path, missing_ok=False):
            if self.times > 1 and self.failing is not None and len(self.done) > self.failing:
                return None  # a process that is dead does not tidy up
            return real(path, missing_ok=missing_ok)

        return unlink

    def opened(self, real):
        disk = self

        def open_(path, mode="r", *arguments, **options):
            file = real(path, mode, *arguments, **options)
            if not {"w", "x"} & {*mode}:
                return file
            write = file.write

            class Watched:
                def write(self, data):
                    if disk.fails():
                        write(bytes(data)[: len(data) // 2])
                    disk.note("write")
                    return write(data)

                def flush(self):
                    disk.note("flush")
                    file.flush()

                def fileno(self):
                    return file.fileno()

                def __enter__(self):
                    return self

                def __exit__(self, *error):
                    file.close()

            return Watched()

        return open_


def train(run, machine):
    return in_process.train(run, machine, callback=Silent())


def results(directory):
    hashes = json.loads((directory.path / "manifest.json").read_text())
    return {name: value for name, value in hashes.items() if name not in ("machine.json", "metrics.csv")}


@pytest.fixture(autouse=True, scope="module")
def quick():
    """No waiting for the real disk, nor for git: what is counted and fails are the calls."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        place = hardware.describe(torch.device("cpu"))
        patch.setattr(hardware, "describe", lambda device, network: place)
        yield


@pytest.fixture(scope="module")
def unbroken(tiny_data, tiny_run, tmp_path_factory):
    """The run, its results, and how many operations it takes."""
    run, folder = tiny_run(**SETTINGS), tmp_path_factory.mktemp("unbroken")
    with pytest.MonkeyPatch.context() as patch:
        disk = Disk(patch)
        directory = train(run, Machine(tiny_data, folder, "cpu", checkpoint_seconds=0))
    return run, results(directory), disk.done


def test_the_operations_are_those_of_every_file(unbroken):
    done = unbroken[2]
    # machine, config, 2 snapshots, metrics, 2 states, 2 predictions, labels, manifest, done: 12 files
    assert done.count("replace") == done.count("flush") == 12
    assert done.count("write") == 12
    assert done.count("fsync") == 2 * 12 + 2  # two folders are new


@pytest.mark.parametrize("times", [1, 10**9], ids=["once", "for good"])
def test_whichever_operation_fails_the_run_goes_on_to_the_same_end(unbroken, tiny_data, tmp_path, times):
    """`for good` is how a killed process or a lost disk looks: nothing is tidied up either."""
    run, expected, done = unbroken
    reached = 0
    for failing in range(len(done)):
        machine = Machine(tiny_data, tmp_path / str(failing), "cpu", checkpoint_seconds=0)
        directory = RunDirectory.of(run, machine.results)
        with pytest.MonkeyPatch.context() as patch:
            Disk(patch, failing=failing, times=times)
            with pytest.raises(OSError, match="Input/output error"):
                train(run, machine)
        step = saved(directory)
        assert step >= reached, f"operation {failing} lost steps"
        reached = step
        assert results(train(run, machine)) == expected, f"operation {failing}, {done[failing]}"
        assert directory.verify() == ([], [])
        assert not list(directory.path.rglob(".*"))
    assert reached == STEPS


def saved(directory):
    """The steps of the newest state, which is valid; all of a finished run."""
    if directory.status == "done":
        return STEPS
    if not directory.resume_path.exists():
        return 0
    return torch.load(checkpoint._content(directory.resume_path), weights_only=True)["progress"]["iteration"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_told_and_the_run_goes_on_when_there_is_room(unbroken, tiny_data, tmp_path, monkeypatch, code):
    run, expected, done = unbroken
    machine = Machine(tiny_data, tmp_path, "cpu", checkpoint_seconds=0)
    directory = RunDirectory.of(run, tmp_path)
    with monkeypatch.context() as patch:
        disk = Disk(patch, failing=len(done) // 2)
        patch.setattr(disk, "note", lambda name, note=disk.note: note_as(code, note, name))
        with pytest.raises(UserError) as caught:
            train(run, machine)
    assert str(caught.value).startswith(f"{directory.path}/")
    assert str(caught.value).endswith(f": {os.strerror(code)}; make room, then type the same command to resume")
    assert results(train(run, machine)) == expected


def note_as(code, note, name):
    try:
        note(name)
    except OSError:
        raise OSError(code, os.strerror(code)) from None
