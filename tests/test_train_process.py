import json
import os
import shlex
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from snapshot_cli.commands.train import train
from snapshot_cli.config.machine import Machine
from snapshot_cli.launch import failure, train_process
from snapshot_cli.run_directory import RunDirectory

SAY = "import json, os, sys; print(json.dumps([sys.argv[1:], dict(os.environ), sys.stdin.read()]))"


def test_the_words_of_a_run_on_a_machine_as_it_is(tiny_run):
    run = tiny_run()
    assert train_process.arguments(run, Machine(Path("D"), Path("R")), ["F"]) == [
        "train", "F", "--run", run.run_id, "--data-dir", "D", "--results-dir", "R",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("machine", "expected"),
    [
        ({"device": "cpu"}, "--device cpu"),
        ({"threads": 3}, "--threads 3"),
        ({"deterministic": True}, "--deterministic"),
        ({"workers": 0}, "--workers 0"),
        ({"checkpoint_seconds": 0.5}, "--checkpoint-seconds 0.5"),
        ({"other_ranks": True, "device": "cuda"}, "--device cuda --other-ranks"),
    ],
)
def test_what_a_machine_adds_to_the_words(tiny_run, machine, expected):
    words = train_process.arguments(tiny_run(), Machine(Path("D"), Path("R"), **machine), [])
    assert " ".join(words[words.index("R") + 1 :]) == expected


def test_the_words_of_a_machine_are_read_back_as_that_machine():
    """Every field of Machine has an option, and no option is forgotten when a process is started."""
    changed = {"device": "cpu", "threads": 3, "checkpoint_seconds": 0.5, "deterministic": True, "workers": 0}
    machine = Machine(Path("D"), Path("R"), **changed, other_ranks=True, compile=True)
    assert all(getattr(machine, each.name) != each.default for each in fields(Machine))
    given = train.make_context("train", ["demo/snapshot", *machine.options()]).params
    assert Machine(**{each.name: given[each.name] for each in fields(Machine)}) == machine


def test_a_shell_reads_back_the_words(tiny_run):
    machine, asked = Machine(Path("D $HOME"), Path("R;ls")), ["it's.yaml"]
    line = train_process.shell_command(tiny_run(), machine, asked)
    assert shlex.split(line) == ["snapshot", *train_process.arguments(tiny_run(), machine, asked)]


@pytest.fixture
def python(tmp_path, monkeypatch):
    """A function that lets `python -P -m snapshot_cli` be a script."""

    def be(script):
        (tmp_path / "script.py").write_text(script)
        stand_in = tmp_path / "python"
        program = f"exec {shlex.quote(sys.executable)} {shlex.quote(str(tmp_path / 'script.py'))}"
        stand_in.write_text(f'#!/bin/sh\n[ "$1 $2 $3" = "-P -m snapshot_cli" ] && shift 3 && {program} "$@"\n')
        stand_in.chmod(0o755)
        monkeypatch.setattr(train_process.sys, "executable", str(stand_in))

    return be


def test_a_process_runs_no_file_of_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("queue", "yaml", "random", "snapshot_cli"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('a file of the user')")
    assert train_process.start(["--version"], tmp_path / "run", {}).wait(60) == 0
    assert (tmp_path / "run" / failure.LOG).read_text().startswith("snapshot, version")


def test_a_process_has_its_words_its_variables_no_input_and_a_log(python, tmp_path):
    python(SAY)
    directory = tmp_path / "not/there/yet"
    assert train_process.start(["train", "--x"], directory, {"OMP_NUM_THREADS": "3"}).wait(60) == 0
    words, environment, read = json.loads((directory / failure.LOG).read_text())
    assert (words, read) == (["train", "--x"], "")
    assert environment["OMP_NUM_THREADS"] == "3"
    assert environment[train_process.LAUNCHER] == str(os.getpid())
    assert environment["PATH"] == os.environ["PATH"]


def test_the_log_grows_and_the_last_failure_is_forgotten(python, tmp_path):
    python("import sys; print('out', flush=True); print('error', file=sys.stderr)")
    (tmp_path / failure.LOG).write_text("before\n")
    (tmp_path / failure.FAILURE).write_text("no room\n")
    assert train_process.start([], tmp_path, {}).wait(60) == 0
    assert (tmp_path / failure.LOG).read_text() == "before\nout\nerror\n"
    assert failure.read(tmp_path) is None


@pytest.mark.parametrize(
    ("threads", "gpu", "expected"),
    [
        (None, None, {}),
        (2, None, {"OMP_NUM_THREADS": "2"}),
        (None, "", {"CUDA_VISIBLE_DEVICES": ""}),
        (1, "GPU-6f", {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "GPU-6f"}),
    ],
)
def test_variables_of_a_slot(threads, gpu, expected):
    assert train_process.device_variables(threads, gpu) == expected


@pytest.mark.parametrize(("text", "expected"), [(None, None), ("", None), ("12", 12), ("x", None), ("-1", None)])
def test_the_launcher(monkeypatch, text, expected):
    monkeypatch.delenv(train_process.LAUNCHER, raising=False)
    if text is not None:
        monkeypatch.setenv(train_process.LAUNCHER, text)
    assert train_process.launcher() == expected


def test_the_directory_is_that_of_the_run(tmp_path, tiny_run):
    assert train_process.directory(tiny_run(), Machine(Path(), tmp_path)) == RunDirectory.of(tiny_run(), tmp_path).path
