"""The unit of work of every engine: a run as one `snapshot train` process, with its log and how it ended."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from snapshot_cli.config.experiment import Run
from snapshot_cli.config.machine import Machine
from snapshot_cli.launch import torchrun
from snapshot_cli.networks import plugins
from snapshot_cli.run_directory import RunDirectory

LOG = "log.txt"
FAILURE = "failure.txt"
LAUNCHER = "SNAPSHOT_LAUNCHER"  # the process id of who started a training, which stops when that process has ended
PATIENCE = 60.0  # seconds


def words(run: Run, machine: Machine, source: Sequence[str]) -> list[str]:
    """Return what follows `snapshot` to train a run, given the options of `snapshot train` that name its file."""
    chosen = [word for path in plugins.files() for word in ("--plugin", str(path))]
    return ["train", *source, "--run", run.run_id, *chosen, *machine.options()]


def shell_command(run: Run, machine: Machine, source: Sequence[str]) -> str:
    """Return the command of a run as a line for a shell."""
    return shlex.join(["snapshot", *words(run, machine, source)])


def start(arguments: Sequence[str], directory: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start `snapshot ARGUMENTS` with some variables added to the environment; its output goes to the run's log."""
    command = [sys.executable, "-P", "-m", "snapshot_cli", *arguments]
    variables = os.environ | environment | {LAUNCHER: str(os.getpid())}
    with open_log(directory) as output:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=variables)


def open_log(directory: Path) -> BinaryIO:
    """Open the log of a run that is tried again, to add to it; its directory is made where it is not there."""
    directory.mkdir(parents=True, exist_ok=True)
    forget_failure(directory)
    return (directory / LOG).open("ab")


def variables(threads: int | None, gpu: str | None) -> dict[str, str]:
    """Return the environment of a slot: its threads and its GPU, "" for none; None leaves them as they are."""
    environment = {} if threads is None else {"OMP_NUM_THREADS": str(threads)}
    return environment if gpu is None else environment | {"CUDA_VISIBLE_DEVICES": gpu}


def failed(directory: Path, result: int | str) -> str:
    """Return why a run failed, given the exit code of its process or the words of who could not even start it.

    The reason is left in the run's directory for `snapshot status`, if that can be written to.
    """
    reason = result if isinstance(result, str) else _reason(directory / LOG, result)
    with suppress(OSError):  # the disk may be full, which stops no other run
        (directory / FAILURE).write_text(reason + "\n", encoding="utf-8", errors="backslashreplace")
    return reason


def failure(directory: Path) -> str | None:
    """Return why a run failed when it was last tried, None where it did not."""
    try:
        return (directory / FAILURE).read_text("utf-8", errors="replace").strip()
    except OSError:
        return None


def forget_failure(directory: Path) -> None:
    """Forget why a run failed, as it is tried again."""
    (directory / FAILURE).unlink(missing_ok=True)


def directory(run: Run, machine: Machine) -> Path:
    """Return the directory of a run."""
    return RunDirectory.of(run, machine.results).path


def launcher() -> int | None:
    """Return the process that launched this one, None where a person did."""
    if torchrun.started():
        return os.getppid()
    text = os.environ.get(LAUNCHER, "")
    return int(text) if text.isdigit() else None


def patience() -> float:
    """Return the seconds that a training waits for one whose launcher died to save its state: none for a person's."""
    return 0.0 if launcher() is None else PATIENCE


def _reason(log: Path, code: int) -> str:
    if code < 0:
        return f"killed by signal {-code}"
    lines = log.read_text("utf-8", errors="replace").strip().splitlines() if log.is_file() else []
    return lines[-1] if lines else f"ended with {code}, without a word"
