"""What a node of a Ray cluster does for a run: a `snapshot train` process, whose files are brought where they lack."""

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
from snapshot_cli.config.machine import Machine, processors
from snapshot_cli.errors import Stopped
from snapshot_cli.files import write_atomically
from snapshot_cli.launch import train_process

POLL_SECONDS = 0.2
STATE = "resume.pt"
DONE = "done.json"  # the last that is written, as it is what "done" means


class Lost(Exception):
    """A training's process was killed, or told to stop, by somebody else than us: it is worth another try."""


@dataclass(frozen=True)
class Task:
    """A run, where its folders are on every node, what else `snapshot train` is to do, and what it gets."""

    run: Run
    machine: Machine
    extra: tuple[str, ...]
    on_gpu: bool
    marker: Path
    """A file that the driver has put into the folder of results: a node that sees it shares that folder."""
    beside: Mapping[str, int]
    """The number of parallel runs by host name."""
    finished: Mapping[str, bytes]
    """The files of a run that is finished, for a node that has it not: it would train it once more."""
    plugins: Sequence[tuple[str, bytes]] = ()
    """The plug-in files, by name."""
    initial_weights: bytes | None = None
    """The file that the run starts from, for a node that may not see it."""


def work(task: Task) -> tuple[int, dict[str, bytes]]:
    """Train a run in a process and return its exit code and, where results are not shared, the files that it left.

    Raises Lost for a process that did not end by itself.
    """
    directory = train_process.directory(task.run, task.machine)
    if not task.marker.exists():
        bring(task.finished, directory)
    share = max(1, processors() // task.beside.get(socket.gethostname(), max(task.beside.values(), default=1)))
    workers = share if task.machine.workers is None else task.machine.workers
    machine = replace(task.machine, threads=task.machine.threads or 1, workers=workers)
    with TemporaryDirectory() as folder:
        file = Path(folder) / "run.yaml"
        file.write_text(yaml_file.written(task.run), encoding="utf-8")
        arguments = train_process.words(task.run, machine, [str(file), *_plugins(task, Path(folder)), *task.extra])
        if task.initial_weights is not None and not task.marker.exists():
            weights_file.keep(str(task.run.initial_weights), task.initial_weights, machine.results)
        variables = train_process.variables(machine.threads, None if task.on_gpu else "")
        code = _wait(train_process.start(arguments, directory, variables))
    if code < 0 or code == Stopped.exit_code:
        raise Lost(f"killed by signal {-code}" if code < 0 else "told to stop by somebody else, again and again")
    return code, {} if task.marker.exists() else files(directory)


def _plugins(task: Task, folder: Path) -> list[str]:
    """Write the plug-in files below a folder and return the options that name them."""
    words = []
    for number, (name, content) in enumerate(task.plugins):
        path = folder / str(number) / name
        write_atomically(path, content)
        words += ["--plugin", str(path)]
    return words


def _wait(process: subprocess.Popen[bytes]) -> int:
    """Return the exit code of a process; when the task is cancelled, after the process has saved its state."""
    try:
        while process.poll() is None:
            time.sleep(POLL_SECONDS)  # an interruption by Ray ends no waiting for a process
        return process.returncode
    except KeyboardInterrupt:
        process.terminate()
        process.wait()
        raise


def files(directory: Path) -> dict[str, bytes]:
    """Return what a run left in its directory, by relative names, without lock, state and half-written files."""
    paths = [path for path in directory.rglob("[!.]*") if path.is_file() and path.name != STATE]
    return {path.relative_to(directory).as_posix(): path.read_bytes() for path in paths}


def finished(directory: Path) -> dict[str, bytes]:
    """Return the files of a run that is finished, none of another."""
    return files(directory) if (directory / DONE).is_file() else {}


def bring(contents: Mapping[str, bytes], directory: Path) -> None:
    """Write the files of a run, from where they are, into its directory here."""
    for name in sorted(contents, key=lambda name: name == DONE):
        write_atomically(directory / name, contents[name])


@contextmanager
def marked(results: Path) -> Iterator[Path]:
    """Put a file into the folder of results by which a node can tell that it shares it."""
    results.mkdir(parents=True, exist_ok=True)
    marker = results / f".shared-{uuid.uuid4().hex}"
    marker.touch()
    try:
        yield marker
    finally:
        marker.unlink(missing_ok=True)
