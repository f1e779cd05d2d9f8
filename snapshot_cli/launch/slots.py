"""Train many runs on this machine, several side by side; each is a `snapshot train` process of its own."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from snapshot_cli.config.experiment import Run
from snapshot_cli.config.machine import Machine
from snapshot_cli.errors import ConfigError
from snapshot_cli.launch import unit
from snapshot_cli.launch.board import Board
from snapshot_cli.launch.standing import State

POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Slot:
    """A run in its process, and the GPU that is its own as long: "" for none, None to leave it to the environment."""

    run: Run
    process: subprocess.Popen[bytes]
    gpu: str | None


def places(gpus: Sequence[str], *, jobs: int | None, per_gpu: int | None, runs: int) -> list[str | None]:
    """Return the GPU of each slot, "" where there is none: the slots go round the GPUs.

    Without `jobs` there are `per_gpu` slots, or one, on every GPU; on a machine without one a slot a core, and no more
    than runs. Raises ConfigError for more jobs than `per_gpu` has room for, and for `per_gpu` without a GPU.
    """
    if per_gpu is not None and not gpus:
        raise ConfigError(f"--per-gpu {per_gpu}: the runs are trained on the CPU here; use --jobs N")
    room = len(gpus) * (per_gpu or 1)
    if per_gpu is not None and jobs is not None and jobs > room:
        raise ConfigError(
            f"--jobs {jobs}: {len(gpus)} GPU{'s' * (len(gpus) > 1)} with --per-gpu {per_gpu} have room for {room}"
        )
    count = jobs or room or min(os.cpu_count() or 1, runs)
    return [gpus[number % len(gpus)] if gpus else "" for number in range(count)]


def train_all(
    runs: Sequence[Run],
    machine: Machine,
    asked: Mapping[Run, Sequence[str]],
    *,
    places: Sequence[str | None],
    board: Board,
    stop: Callable[[], bool],
) -> list[str]:
    """Train the runs, in order, in a slot at each of the places and return a line for each that failed.

    `asked` are for each run the options of `snapshot train` that name the file it comes from. A failure stops no other
    run. Once `stop` says so, the processes are told to save their state, and the runs that are not finished are left as
    they are.
    """
    waiting, free, running, failures = list(runs), list(places), list[Slot](), list[str]()
    try:
        while running or (waiting and not stop()):
            while waiting and free and not stop():
                run = waiting.pop(0)
                try:
                    running.append(_start(run, machine, asked[run], gpu=free[0], slots=len(places)))
                    free.pop(0)
                    board.started(run)
                except OSError as error:
                    failures.append(f"{run.run_id}: {error.filename}: {error.strerror}")
                    board.ended(run, "failed")
            if stop():
                _terminate(running)
            time.sleep(POLL_SECONDS)
            for slot in [slot for slot in running if slot.process.poll() is not None]:
                running.remove(slot)
                free.append(slot.gpu)
                failures += _end(slot, machine, board, stopped=stop())
            board.look()
    finally:
        _terminate(running)
    return failures


def _end(slot: Slot, machine: Machine, board: Board, *, stopped: bool) -> list[str]:
    """Tell the board of a run whose process has ended and return a line if it failed."""
    code = slot.process.returncode
    outcome: State = "done" if code == 0 else "stopped" if stopped else "failed"
    if outcome != "failed":
        board.ended(slot.run, outcome)
        return []
    directory = unit.directory(slot.run, machine)
    line = unit.failed(slot.run.run_id, directory, code)
    board.ended(slot.run, outcome, unit.failure(directory) or "")
    return [line]


def _terminate(running: Sequence[Slot]) -> None:
    """Ask for a stop; a process that has been asked before does not mind."""
    for slot in running:
        slot.process.terminate()


def _start(run: Run, machine: Machine, asked: Sequence[str], *, gpu: str | None, slots: int) -> Slot:
    share = max(1, (os.cpu_count() or 1) // slots)
    threads, workers = machine.threads or share, share if machine.workers is None else machine.workers
    arguments = unit.words(run, replace(machine, threads=threads, workers=workers), asked)
    return Slot(run, unit.start(arguments, unit.directory(run, machine), unit.variables(threads, gpu)), gpu)
