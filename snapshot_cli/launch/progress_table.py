"""Many runs at once: a live table of where they stand on a terminal, a line for every start and end elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from snapshot_cli.config.experiment import Run
from snapshot_cli.durations import duration
from snapshot_cli.launch import run_status, train_process
from snapshot_cli.launch.progress import say
from snapshot_cli.launch.run_status import ORDER, RunStatus, State

COLOURS = {"running": "cyan", "failed": "red", "stopped": "yellow", "waiting": "", "done": "green"}
REFRESH_SECONDS = 1.0
RESERVED = 5  # lines of a screen for the table's head, the line below it and what is printed above


class ProgressTable:
    """Where a driver says which runs it starts and how they end."""

    def __init__(self, console: Console, runs: Mapping[Run, int], results: Path) -> None:
        """Show `runs`, each with the number of training images that it looks at."""
        self._console, self._runs, self._results = console, runs, results
        found = {run: run_status.look(run, results, images) for run, images in runs.items()}
        self._statuses = {run: replace(each, state="waiting", where="", words="") for run, each in found.items()}
        self._ended, self._next = 0, 0.0
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._live.stop()

    def started(self, run: Run) -> None:
        """Take note of a run that begins or goes on."""
        self._statuses[run] = replace(self._statuses[run], state="running")
        if not self._console.is_terminal:
            say(self._console, f"training {run.run_id}")

    def ended(self, run: Run, outcome: State, words: str = "") -> None:
        """Take note of a run that is 'done', 'stopped' or 'failed', and of why it failed."""
        self._ended += 1
        known = self._statuses[run]
        self._statuses[run] = replace(
            known, state=outcome, words=words, where="", seen=known.images if outcome == "done" else known.seen
        )
        say(self._console, f"{outcome}: {run.run_id} ({self._ended} of {len(self._runs)})")

    def look(self) -> None:
        """Read from their files how far the running ones are, and draw; once a second at most."""
        if not self._console.is_terminal or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + REFRESH_SECONDS
        for run, known in self._statuses.items():
            if known.state == "running":
                found = run_status.look(run, self._results, known.images)
                self._statuses[run] = replace(found, state="running")
        self._live.update(screen(self._statuses.values(), self._console.height), refresh=True)


def end(progress: ProgressTable, run: Run, result: int | str, directory: Path, *, stopped: bool) -> list[str]:
    """Tell a progress how a run ended and return a line if it failed.

    `result` is the exit code of its process, or says why there was none; once a stop was asked for, what is not
    finished is `stopped`, whatever its code.
    """
    if result == 0 or stopped:
        progress.ended(run, "done" if result == 0 else "stopped")
        return []
    reason, log = train_process.failed(directory, result), directory / train_process.LOG
    progress.ended(run, "failed", reason)
    return [f"{run.run_id}: {reason}" + f" (all of it: {log})" * log.is_file()]


def screen(statuses: Iterable[RunStatus], height: int) -> Group:
    """Return the table of what fits into a height, the running and the failed first, and a line about all."""
    ordered = sorted(statuses, key=lambda each: ORDER.index(each.state))
    shown = ordered[: max(1, height - RESERVED)]
    more = [] if len(shown) == len(ordered) else [Text(f"and {len(ordered) - len(shown)} more")]
    return Group(table(shown), *more, Text(run_status.summary(ordered)))


def table(statuses: Iterable[RunStatus]) -> Table:
    """Return a table with a row a run: state, progress, rate, error, speed, time left, where it runs or why not."""
    found = Table(box=None, pad_edge=False)
    found.add_column("run", overflow="fold")
    found.add_column("state")
    for name in ("done", "rate", "error", "images/s", "left"):
        found.add_column(name, justify="right")
    found.add_column("where, or why not", overflow="fold")
    for each in statuses:
        found.add_row(*map(Text, _row(each)), style=COLOURS[each.state])
    return found


def _row(each: RunStatus) -> list[str]:
    left = each.left if each.state in ("running", "stopped") else None
    return [
        each.name or each.run_id,
        each.state,
        f"{100 * each.seen / each.images:.1f} %" if each.images else "-",
        "-" if each.rate is None else f"{each.rate:.4f}",
        "-" if each.error is None else f"{each.error:.2f} %",
        "-" if each.images_per_second is None else f"{each.images_per_second:,.0f}",
        "-" if left is None else duration(left),
        "; ".join(words for words in (each.where, each.words) if words),
    ]
