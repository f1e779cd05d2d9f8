"""Parallel trainings: their total images/s; every training is a process that waits for its turn."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import torch

from bench import images
from bench.blocks import estimate
from bench.contenders import Way, limit
from bench.tables import Row
from snapshot_cli.config.experiment import Precision

NETWORKS_CPU = {"resnet-20": 10, "wide-resnet-14-2": 4, "densenet-40-12": 1}  # steps of a block
NETWORKS_GPU = {"resnet-110": 100}
RUNS_GPU = (1, 2, 4, 8)
GOAL_GPU = 2  # of eight runs, times the images a second of one


def on_cpu(network: str, precision: Precision, *, blocks: int) -> list[Row]:
    """Return the images/s of two one-thread trainings over those of one two-thread training, alternating."""
    way = Way(network, torch.device("cpu"), precision)
    with _waiting(way, [2, 1, 1]) as (one, *two):
        ratios = []
        for block in range(-1, blocks):
            ways = [two, [one]] if block % 2 else [[one], two]
            speeds = {len(workers): _together(workers, NETWORKS_CPU[network]) for workers in ways}
            ratios += [speeds[2] / speeds[1]] if block >= 0 else []  # the first round is dropped
    return [Row(f"{way.name}: two runs of one thread / one of two", estimate(ratios))]


def on_gpu(network: str, precision: Precision, *, blocks: int) -> list[Row]:
    """Return the images/s of 1, 2, 4 and 8 trainings on one GPU, and their ratio to one training."""
    way = Way(network, torch.device("cuda"), precision)
    with _waiting(way, [1] * max(RUNS_GPU)) as workers:
        speeds: dict[int, list[float]] = {count: [] for count in RUNS_GPU}
        for block in range(-1, blocks):
            for count in RUNS_GPU:
                speed = _together(workers[:count], NETWORKS_GPU[network])
                speeds[count] += [speed] if block >= 0 else []
    rows = []
    for count, values in speeds.items():
        ratios = [value / alone for value, alone in zip(values, speeds[1], strict=True)]
        goal = GOAL_GPU if count == max(RUNS_GPU) else None
        rows.append(Row(f"{way.name}: {count} on one GPU", estimate(values), None, "images/s"))
        rows += [Row(f"{way.name}: {count} on one GPU / 1", estimate(ratios), least=goal)] if count > 1 else []
    return rows


def serve(way: Way, threads: int) -> None:
    """For each line of standard input, train that number of steps and print a line when they are done."""
    torch.set_num_threads(threads)
    step = limit(way, images.prepared())
    for _ in range(3):
        step()
    print("ready", flush=True)
    for line in sys.stdin:
        for _ in range(int(line)):
            step()
        if way.device.type == "cuda":
            torch.cuda.synchronize()
        print("done", flush=True)


@contextmanager
def _waiting(way: Way, threads: Sequence[int]) -> Iterator[list[subprocess.Popen[str]]]:
    """Start a `serve` process for each number of threads, and wait until all are ready."""
    command = [sys.executable, sys.argv[0], "--device", way.device.type, "--serve", way.network, way.precision]
    with ExitStack() as stack:
        workers = [
            stack.enter_context(
                subprocess.Popen(
                    [*command, str(count)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
                )
            )
            for count in threads
        ]
        _hear(workers)
        yield workers  # ExitStack then closes their standard input


def _together(workers: Sequence[subprocess.Popen[str]], steps: int) -> float:
    """Return the total images/s of processes that train in parallel, until the last one is done."""
    start = time.perf_counter()
    for worker in workers:
        print(steps, file=worker.stdin, flush=True)
    _hear(workers)
    return len(workers) * steps * images.BATCH / (time.perf_counter() - start)


def _hear(workers: Sequence[subprocess.Popen[str]]) -> None:
    """Wait for a line from every process; RuntimeError if one has exited, which has printed why."""
    for worker in workers:
        if worker.stdout is None or not worker.stdout.readline():
            raise RuntimeError(f"{worker.args} ended")
