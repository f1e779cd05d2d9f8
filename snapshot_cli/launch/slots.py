"""Train many runs on this machine in parallel: every slot has a worker that trains one run after another."""

from __future__ import annotations

import os
import select
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from snapshot_cli.config.experiment import Run
from snapshot_cli.config.machine import Machine, processors
from snapshot_cli.errors import ConfigError
from snapshot_cli.launch import train_process
from snapshot_cli.launch.progress_table import ProgressTable, end
from snapshot_cli.launch.worker import Worker

POLL_SECONDS = 0.2


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
    sources: Mapping[Run, Sequence[str]],
    *,
    places: Sequence[str],
    progress: ProgressTable,
    stop: Callable[[], bool],
) -> list[str]:
    """Train the runs in order, one slot per place, and return one line per failed run.

    `sources` has the options of `snapshot train` that name the file of a run. A failure stops no other
    run. Once `stop` says so, the processes are told to save their state, and the runs that are not finished are left as
    they are.
    """
    waiting, running, failures = list(runs), dict[Worker, Run](), list[str]()
    machine = slot(machine, len(places))
    free = [Worker(train_process.variables(machine.threads, gpu)) for gpu in places]
    try:
        while running or (waiting and not stop()):
            while waiting and free and not stop():
                run, worker = waiting.pop(0), free[0]
                try:
                    worker.start(train_process.words(run, machine, sources[run]), train_process.directory(run, machine))
                except OSError as error:
                    reason = ": ".join(str(word) for word in (error.filename, error.strerror) if word)
                    failures += end(progress, run, reason, train_process.directory(run, machine), stopped=False)
                    continue
                running[free.pop(0)] = run
                progress.started(run)
            if stop():
                _terminate(running)
            for worker in select.select(list(running), [], [], POLL_SECONDS)[0]:
                code = worker.poll()
                if code is not None:
                    run = running.pop(worker)
                    free.append(worker)
                    failures += end(progress, run, code, train_process.directory(run, machine), stopped=stop())
            progress.look()
    finally:
        _terminate(running)
        for worker in free:
            worker.close()
    return failures


def slot(machine: Machine, slots: int) -> Machine:
    """Return the machine of one slot: the requested threads and decoders, or its share of the processors."""
    share = max(1, processors() // slots)
    workers = share if machine.workers is None else machine.workers
    return replace(machine, threads=machine.threads or share, workers=workers)


def _terminate(running: Iterable[Worker]) -> None:
    """Request a stop; repeating the request does no harm."""
    for worker in running:
        worker.terminate()
