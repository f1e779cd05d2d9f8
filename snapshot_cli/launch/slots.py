"""Train many runs on this machine in parallel: every slot has a worker that trains one run after another."""

from __future__ import annotations

import os
import select
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from snapshot_cli.config.experiment import Run
from snapshot_cli.config.machine import Machine, processors
from snapshot_cli.errors import ConfigError, words_of
from snapshot_cli.launch import train_process
from snapshot_cli.launch.failure import Failure
from snapshot_cli.launch.progress_table import ProgressTable, record_end
from snapshot_cli.launch.worker import Worker
from snapshot_cli.words import counted

POLL_SECONDS = 0.2


def gpus(machine: Machine) -> list[str]:
    """Return the names of this machine's GPUs, as in CUDA_VISIBLE_DEVICES."""
    import torch

    from snapshot_cli.training import hardware

    if hardware.choose(machine.device).type == "cpu":
        return []
    visible = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    count = torch.cuda.device_count()
    return visible[:count] or [str(number) for number in range(count)]


def slot_gpus(gpus: Sequence[str], *, jobs: int | None, per_gpu: int | None, runs: int) -> list[str]:
    """Return the GPU of each slot, assigned in turn; "" on a machine without GPUs.

    There are `jobs` slots, else `per_gpu` or one for every GPU, else one per core; never more than runs. Raises
    ConfigError for more jobs than `per_gpu` has room for, and for `per_gpu` without a GPU.
    """
    if per_gpu is not None and not gpus:
        raise ConfigError(f"--per-gpu {per_gpu}: the runs are trained on the CPU here; use --jobs N")
    room = len(gpus) * (per_gpu or 1)
    if per_gpu is not None and jobs is not None and jobs > room:
        raise ConfigError(f"--jobs {jobs}: {counted(len(gpus), 'GPU')} with --per-gpu {per_gpu} have room for {room}")
    count = min(jobs or room or processors(), runs)
    return [gpus[number % len(gpus)] if gpus else "" for number in range(count)]


def train_all(
    runs: Sequence[Run],
    machine: Machine,
    sources: Mapping[Run, Sequence[str]],
    *,
    gpus: Sequence[str],
    progress: ProgressTable,
    stop: Callable[[], bool],
) -> list[Failure]:
    """Train the runs in order, one slot per entry of `gpus`, and return the failures; a failure stops no other run.

    `sources` are the arguments of `snapshot train` that name a run's file. Once `stop()` is true, the running trainings
    are asked to save a checkpoint and stop, and no other starts.
    """
    waiting, running, failures = list(runs), dict[Worker, Run](), list[Failure]()
    machine = slot_machine(machine, len(gpus))
    free = [Worker(train_process.device_variables(machine.threads, gpu)) for gpu in gpus]
    try:
        while running or (waiting and not stop()):
            while waiting and free and not stop():
                run, worker = waiting.pop(0), free[0]
                directory = train_process.directory(run, machine)
                try:
                    worker.start(train_process.arguments(run, machine, sources[run]), directory)
                except OSError as error:
                    failures += record_end(progress, run, words_of(error), directory, stopped=False)
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
                    directory = train_process.directory(run, machine)
                    failures += record_end(progress, run, code, directory, stopped=stop())
            progress.refresh()
    finally:
        _terminate(running)
        for worker in free:
            worker.close()
    return failures


def slot_machine(machine: Machine, slots: int) -> Machine:
    """Return the machine of one slot: threads and decoders as given, or the slot's share of the processors."""
    threads = machine.threads or max(1, processors() // slots)
    return replace(machine, threads=threads, workers=machine.decoders(slots))


def _terminate(workers: Iterable[Worker]) -> None:
    for worker in workers:
        worker.terminate()
