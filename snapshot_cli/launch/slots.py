"""Train many runs on this machine, several side by side; each is a `snapshot train` process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from snapshot_cli.config.experiment import Run
from snapshot_cli.config.machine import Machine
from snapshot_cli.launch.progress import Board
from snapshot_cli.run_directory import RunDirectory

POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Slot:
    """A run in its process, whose output goes to a log in the run's directory."""

    run: Run
    process: subprocess.Popen[bytes]
    log: Path


def train_all(
    runs: Sequence[Run],
    machine: Machine,
    asked: Mapping[Run, Sequence[str]],
    *,
    jobs: int,
    board: Board,
    stop: Callable[[], bool],
) -> list[str]:
    """Train the runs, in order, in `jobs` slots and return a line for each that failed; a failure stops no other run.

    `asked` are for each run the options of `snapshot train` that name the file it comes from. Once `stop` says so, the
    processes are told to save their state, and the runs that are not finished are left as they are.
    """
    waiting, running, failures = list(runs), list[Slot](), list[str]()
    try:
        while running or (waiting and not stop()):
            while waiting and len(running) < jobs and not stop():
                run = waiting.pop(0)
                try:
                    running.append(_start(run, machine, asked[run], jobs=jobs))
                    board.started(run)
                except OSError as error:
                    failures.append(f"{run.run_id}: {error.filename}: {error.strerror}")
                    board.ended(run, "failed")
            if stop():
                _terminate(running)
            time.sleep(POLL_SECONDS)
            failures += _ended(running, board, stop)
            board.look([slot.run for slot in running])
    finally:
        _terminate(running)
    return failures


def _ended(running: list[Slot], board: Board, stop: Callable[[], bool]) -> list[str]:
    """Take the slots whose process has ended out of `running` and return a line for each that failed."""
    failures = []
    for slot in [slot for slot in running if slot.process.poll() is not None]:
        running.remove(slot)
        outcome = "done" if slot.process.returncode == 0 else "stopped" if stop() else "failed"
        if outcome == "failed":
            failures.append(f"{slot.run.run_id}: {_last_line(slot.log)} (all of it: {slot.log})")
        board.ended(slot.run, outcome)
    return failures


def _terminate(running: Sequence[Slot]) -> None:
    """Ask for a stop; a process that has been asked before does not mind."""
    for slot in running:
        slot.process.terminate()


def _start(run: Run, machine: Machine, asked: Sequence[str], *, jobs: int) -> Slot:
    directory = RunDirectory.of(run, machine.results).path
    directory.mkdir(parents=True, exist_ok=True)
    log = directory / "log.txt"
    threads = machine.threads or max(1, (os.cpu_count() or 1) // jobs)
    command = [sys.executable, "-m", "snapshot_cli", "train", *asked, "--run", run.run_id]
    command += ["--data-dir", str(machine.data), "--results-dir", str(machine.results)]
    command += ["--device", machine.device, "--threads", str(threads)]
    command += ["--checkpoint-seconds", f"{machine.checkpoint_seconds:g}"]
    command += ["--deterministic"] * machine.deterministic
    with log.open("ab") as output:
        return Slot(run, subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output), log)


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "ended without a word"
