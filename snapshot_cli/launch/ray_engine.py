"""Train many runs on a Ray cluster, or on this machine through Ray; every task is a `snapshot train` process."""

from __future__ import annotations

import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

import yaml

from snapshot_cli import lock
from snapshot_cli.config.experiment import Run
from snapshot_cli.config.machine import Machine
from snapshot_cli.errors import ConfigError, Stopped
from snapshot_cli.files import write_atomically
from snapshot_cli.launch import unit
from snapshot_cli.launch.board import Board
from snapshot_cli.launch.standing import State

RETRIES = 10  # of a run whose worker, node or process was lost; each goes on from the state that was saved last
POLL_SECONDS = 0.2
STORE_BYTES = 100_000_000  # of an instance for this machine alone, where no files travel
NOT_BROUGHT = {"resume.pt", lock.FILE_NAME}


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


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Be connected to a running cluster, or without an address to an instance of one's own on this machine.

    Raises ConfigError where Ray is not installed and where no cluster answers.
    """
    try:
        import ray
    except ModuleNotFoundError:
        raise ConfigError("--engine ray: Ray is not installed here; type: pip install 'snapshot-cli[ray]'") from None
    if address not in (None, "auto"):
        _reach(address or "")
    own = {"include_dashboard": False, "object_store_memory": STORE_BYTES} if address is None else {}
    try:
        ray.init(address=address or "local", log_to_driver=False, logging_level="ERROR", **own)
    except (ConnectionError, ValueError):
        raise ConfigError(
            f"--address {address}: no Ray cluster is found; start one with: ray start --head, or leave --address out"
        ) from None
    try:
        yield
    finally:
        ray.shutdown()


def train_all(
    runs: Sequence[Run],
    machine: Machine,
    extra: Sequence[str],
    *,
    jobs: int | None,
    per_gpu: int | None,
    board: Board,
    stop: Callable[[], bool],
) -> list[str]:
    """Train the runs, in order, wherever the cluster has room and return a line for each that failed.

    A run gets a share of `per_gpu` GPUs where the cluster has any, else as many CPUs as threads. What a lost worker or
    node was training is trained on elsewhere. Finished runs of nodes that do not share the folder of results are
    brought here. Once `stop` says so, the trainings are told to save their state.
    """
    import ray

    gpus = 0 if machine.device == "cpu" else int(ray.cluster_resources().get("GPU", 0))
    remote = ray.remote(**_resources(machine, gpus, per_gpu))(work)
    everywhere = replace(machine, data=machine.data.resolve(), results=machine.results.resolve())
    waiting, running, told, failures = list(runs), dict[Any, Run](), set[Run](), list[str]()
    cancelled = set[Any]()
    with _marked(everywhere.results) as marker:
        while running or (waiting and not stop()):
            while waiting and not stop() and (jobs is None or len(running) < jobs):
                run = waiting.pop(0)
                running[remote.remote(Task(run, everywhere, tuple(extra), gpus > 0, marker))] = run
            if stop():
                for reference in running.keys() - cancelled:
                    ray.cancel(reference)
                    cancelled.add(reference)
            _tell(running.values(), told, everywhere, board)
            for reference in ray.wait(list(running), timeout=POLL_SECONDS)[0]:
                run = running.pop(reference)
                _tell([run], told, everywhere, board, ended=True)
                failures += _end(reference, run, everywhere, board, stopped=stop())
            board.look()
    return failures


def work(task: Task) -> tuple[int, dict[str, bytes]]:
    """Train a run in a process and return its exit code and, where results are not shared, the files that it left."""
    directory = unit.directory(task.run, task.machine)
    machine = replace(task.machine, threads=task.machine.threads or 1)
    with TemporaryDirectory() as folder:
        file = Path(folder) / "run.yaml"
        file.write_text(yaml.safe_dump(task.run.model_dump(mode="json")))
        arguments = unit.words(task.run, machine, ["--config", str(file), *task.extra])
        variables = unit.variables(machine.threads, None if task.on_gpu else "")
        code = _wait(unit.start(arguments, directory, variables))
    if code < 0 or code == Stopped.exit_code:
        raise Lost(f"killed by signal {-code}" if code < 0 else "told to stop by somebody else, again and again")
    return code, {} if task.marker.exists() else _files(directory)


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


def _resources(machine: Machine, gpus: int, per_gpu: int | None) -> dict[str, Any]:
    if gpus == 0 and machine.device == "cuda":
        raise ConfigError("--device cuda: the Ray cluster has no GPU; use --device cpu, or --device auto")
    if gpus == 0 and per_gpu is not None:
        raise ConfigError(f"--per-gpu {per_gpu}: the runs are trained on CPUs; use --jobs N")
    room = {"num_gpus": 1 / (per_gpu or 1), "num_cpus": 0} if gpus else {"num_cpus": machine.threads or 1}
    return room | {"max_retries": RETRIES, "retry_exceptions": [Lost]}


def _tell(runs: Any, told: set[Run], machine: Machine, board: Board, *, ended: bool = False) -> None:
    """Tell the board of the runs that have begun, as their locks say."""
    for run in [run for run in runs if run not in told]:
        if ended or lock.holder(unit.directory(run, machine)) is not None:
            told.add(run)
            board.started(run)


def _end(reference: Any, run: Run, machine: Machine, board: Board, *, stopped: bool) -> list[str]:
    """Take what a task returned and return a line if its run failed."""
    import ray

    directory = unit.directory(run, machine)
    try:
        code, files = ray.get(reference)
        for name in sorted(files, key=lambda name: name == "done.json"):  # the last, as it is what "done" means
            write_atomically(directory / name, partial(_write, files[name]))
    except ray.exceptions.RayError as error:
        reason = str(getattr(error, "cause", None) or error).strip().splitlines()[-1]
        code, line = None, f"{run.run_id}: {reason}"
    outcome: State = "done" if code == 0 else "stopped" if stopped else "failed"
    if outcome != "failed":
        board.ended(run, outcome)
        return []
    line = unit.failed(run.run_id, directory, code) if code is not None else line
    board.ended(run, outcome, line)
    return [line]


def _write(content: bytes, file: BinaryIO) -> None:
    file.write(content)


def _files(directory: Path) -> dict[str, bytes]:
    paths = [path for path in directory.rglob("*") if path.is_file() and path.name not in NOT_BROUGHT]
    return {path.relative_to(directory).as_posix(): path.read_bytes() for path in paths}


@contextmanager
def _marked(results: Path) -> Iterator[Path]:
    """Put a file into the folder of results by which a node can tell that it shares it."""
    results.mkdir(parents=True, exist_ok=True)
    marker = results / f".shared-{uuid.uuid4().hex}"
    marker.touch()
    try:
        yield marker
    finally:
        marker.unlink(missing_ok=True)


def _reach(address: str) -> None:
    """Refuse an address at which nobody listens; Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise ConfigError(f"--address {address}: expected auto or HOST:PORT, such as 10.0.0.1:6379")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except OSError as error:
        raise ConfigError(
            f"--address {address}: nobody answers there ({error.strerror or error}); "
            "the address is what ray start --head printed"
        ) from None
