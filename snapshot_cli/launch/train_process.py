"""A run as one `snapshot train` process, whatever engine starts it: arguments, environment and log."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from snapshot_cli.config.experiment import Run
from snapshot_cli.config.machine import Machine
from snapshot_cli.launch import failure, torchrun
from snapshot_cli.networks import plugins
from snapshot_cli.run_directory import RunDirectory

LAUNCHER = "SNAPSHOT_LAUNCHER"  # environment variable: the process id of the launcher, whose end stops the training
LOCK_TIMEOUT = 60.0  # seconds


def arguments(run: Run, machine: Machine, source: Sequence[str]) -> list[str]:
    """Return the arguments of `snapshot` that train a run; `source` are those that name its file."""
    plugin_options = [word for path in plugins.files() for word in ("--plugin", str(path))]
    return ["train", *source, "--run", run.run_id, *plugin_options, *machine.options()]


def shell_command(run: Run, machine: Machine, source: Sequence[str]) -> str:
    """Return the command that trains a run, quoted for a shell."""
    return shlex.join(["snapshot", *arguments(run, machine, source)])


def start(arguments: Sequence[str], directory: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start `snapshot ARGUMENTS` with variables added to the environment; its output goes to the run's log."""
    command = [sys.executable, "-P", "-m", "snapshot_cli", *arguments]
    variables = os.environ | environment | {LAUNCHER: str(os.getpid())}
    with open_log(directory) as output:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=variables)


def open_log(directory: Path) -> BinaryIO:
    """Open the log of a run for a new attempt, to append to it; create the directory if needed."""
    directory.mkdir(parents=True, exist_ok=True)
    failure.clear(directory)
    return (directory / failure.LOG).open("ab")


def device_variables(threads: int | None, gpu: str | None) -> dict[str, str]:
    """Return environment variables for a number of threads and a GPU ("" for none); None sets nothing."""
    environment = {} if threads is None else {"OMP_NUM_THREADS": str(threads)}
    return environment if gpu is None else environment | {"CUDA_VISIBLE_DEVICES": gpu}


def directory(run: Run, machine: Machine) -> Path:
    """Return the directory of a run."""
    return RunDirectory.of(run, machine.results).path


def launcher() -> int | None:
    """Return the id of the process that launched this one, None if a person did."""
    if torchrun.started():
        return os.getppid()
    text = os.environ.get(LAUNCHER, "")
    return int(text) if text.isdigit() else None


def lock_timeout() -> float:
    """Return the seconds to wait for a run's lock: an orphan of a killed launcher may still save; none for a person."""
    return 0.0 if launcher() is None else LOCK_TIMEOUT
