"""The Ray task that trains a run in a `snapshot train` process, and copies its files to nodes that lack them."""

from __future__ import annotations

import socket
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from snapshot_cli.config import weights_file, yaml_file
from snapshot_cli.config.experiment import Run
from snapshot_cli.config.machine import Machine
from snapshot_cli.errors import Stopped
from snapshot_cli.files import write_atomically
from snapshot_cli.launch import train_process
from snapshot_cli.run_directory import CHECKPOINT
from snapshot_cli.seal import DONE

POLL_SECONDS = 0.2


class Lost(Exception):
    """The process of a training was killed or stopped from outside: retry."""


@dataclass(frozen=True)
class Task:
    """A run, the machine options, and the files that a node may lack."""

    run: Run
    machine: Machine
    extra: tuple[str, ...]
    """Further arguments of `snapshot train`."""
    on_gpu: bool
    marker: Path
    """A file in the driver's results folder: a node that sees it shares that folder."""
    runs_per_host: Mapping[str, int]
    """The number of parallel runs by host name."""
    finished: Mapping[str, bytes]
    """The files of a finished run, for a node that lacks them: it would train the run again."""
    plugins: Sequence[tuple[str, bytes]] = ()
    """The plug-in files, by name."""
    initial_weights: bytes | None = None
    """The content of the file of initial weights, for a node that may lack it."""


def work(task: Task) -> tuple[int, dict[str, bytes]]:
    """Train a run in a process; return its exit code and, unless the results folder is shared, the run's files.

    Raises Lost if the process was killed or stopped.
    """
    directory = train_process.directory(task.run, task.machine)
    if not task.marker.exists():
        write_files(task.finished, directory)
    runs = task.runs_per_host.get(socket.gethostname(), max(task.runs_per_host.values(), default=1))
    machine = replace(task.machine, threads=task.machine.threads or 1, workers=task.machine.decoders(runs))
    with TemporaryDirectory() as folder:
        file = Path(folder) / "run.yaml"
        file.write_text(yaml_file.written(task.run), encoding="utf-8")
        arguments = train_process.arguments(task.run, machine, [str(file), *_plugins(task, Path(folder)), *task.extra])
        if task.initial_weights is not None and not task.marker.exists():
            weights_file.keep(str(task.run.initial_weights), task.initial_weights, machine.results)
        variables = train_process.device_variables(machine.threads, None if task.on_gpu else "")
        code = _wait(train_process.start(arguments, directory, variables))
    if code < 0 or code == Stopped.exit_code:
        raise Lost(f"killed by signal {-code}" if code < 0 else "stopped by another program, again and again")
    return code, {} if task.marker.exists() else read_files(directory)


def _plugins(task: Task, folder: Path) -> list[str]:
    """Write the plug-in files below a folder and return the options that name them."""
    words = []
    for number, (name, content) in enumerate(task.plugins):
        path = folder / str(number) / name
        write_atomically(path, content)
        words += ["--plugin", str(path)]
    return words


def _wait(process: subprocess.Popen[bytes]) -> int:
    """Return the exit code of a process; if the task is cancelled, stop the process, which saves a checkpoint."""
    try:
        while process.poll() is None:
            time.sleep(POLL_SECONDS)  # Ray's interrupt would not end process.wait()
        return process.returncode
    except KeyboardInterrupt:
        process.terminate()
        process.wait()
        raise


def read_files(directory: Path) -> dict[str, bytes]:
    """Return the files of a run by relative name, without lock, checkpoint and temporary files."""
    paths = [path for path in directory.rglob("[!.]*") if path.is_file() and path.name != CHECKPOINT]
    return {path.relative_to(directory).as_posix(): path.read_bytes() for path in paths}


def read_finished(directory: Path) -> dict[str, bytes]:
    """Return the files of a finished run; none of an unfinished one."""
    return read_files(directory) if (directory / DONE).is_file() else {}


def write_files(contents: Mapping[str, bytes], directory: Path) -> None:
    """Write the files of a run into its directory, done.json last."""
    for name in sorted(contents, key=lambda name: name == DONE):
        write_atomically(directory / name, contents[name])


@contextmanager
def sharing_marker(results: Path) -> Iterator[Path]:
    """Create a file in the results folder, while the context lasts, by which nodes see that they share the folder."""
    results.mkdir(parents=True, exist_ok=True)
    marker = results / f".shared-{uuid.uuid4().hex}"
    marker.touch()
    try:
        yield marker
    finally:
        marker.unlink(missing_ok=True)
