"""Train many runs on this machine, several side by side; each is a `snapshot train` process of its own."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from snapshot_cli.config.experiment import Run
from snapshot_cli.config.machine import Machine, processors
from snapshot_cli.errors import ConfigError
from snapshot_cli.launch import unit
from snapshot_cli.launch.board import Board, end

POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Slot:
    """A run in its process, and the GPU that is its own as long, "" for none."""

    run: Run
    process: subprocess.Popen[bytes]
    gpu: str


def gpus(machine: Machine) -> list[str]:
    """Return the names of this machine's GPUs, as CUDA_VISIBLE_DEVICES has them."""
    import torch

    from snapshot_cli.training import hardware

    if hardware.choose(machine.device).type == "cpu":
        return []
    visible = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    count = torch.cuda.device_count()
    return visible[:count] or [str(number) for number in range(count)]


def places(gpus: Sequence[str], *, jobs: int | None, per_gpu: int | None, runs: int) -> list[str]:
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
    count = jobs or room or min(processors(), runs)
    return [gpus[number % len(gpus)] if gpus else "" for number in range(count)]


def train_all(
    runs: Sequence[Run],
    machine: Machine,
    asked: Mapping[Run, Sequence[str]],
    *,
    places: Sequence[str],
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
                except OSError as error:
                    reason = ": ".join(str(word) for word in (error.filename, error.strerror) if word)
                    failures += end(board, run, reason, unit.directory(run, machine), stopped=False)
                    continue
                free.pop(0)
                board.started(run)
            if stop():
                _terminate(running)
            time.sleep(POLL_SECONDS)
            for slot in [slot for slot in running if slot.process.poll() is not None]:
                running.remove(slot)
                free.append(slot.gpu)
                directory = unit.directory(slot.run, machine)
                failures += end(board, slot.run, slot.process.returncode, directory, stopped=stop())
            board.look()
    finally:
        _terminate(running)
    return failures


def _terminate(running: Sequence[Slot]) -> None:
    """Ask for a stop; a process that has been asked before does not mind."""
    for slot in running:
        slot.process.terminate()


def _start(run: Run, machine: Machine, asked: Sequence[str], *, gpu: str, slots: int) -> Slot:
    share = max(1, processors() // slots)
    threads, workers = machine.threads or share, share if machine.workers is None else machine.workers
    arguments = unit.words(run, replace(machine, threads=threads, workers=workers), asked)
    return Slot(run, unit.start(arguments, unit.directory(run, machine), unit.variables(threads, gpu)), gpu)
