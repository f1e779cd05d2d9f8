"""Many runs at once: a live table of where they stand on a terminal, a line for every start and end elsewhere."""

from __future__ import annotations

import sys
import textwrap
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate, chain
from pathlib import Path
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from snapshot_cli.config.experiment import Run
from snapshot_cli.config.run_words import in_words
from snapshot_cli.durations import duration
from snapshot_cli.errors import visible
from snapshot_cli.launch import run_status, train_process
from snapshot_cli.launch.progress import say
from snapshot_cli.launch.run_status import ORDER, RunStatus, State

COLOURS = {"running": "cyan", "failed": "red", "stopped": "yellow", "waiting": "", "done": "green"}
REFRESH_SECONDS = 1.0
RESERVED = 5  # lines of a screen for the table's head, the line below it and what is printed above
GAP = 2  # columns of a terminal between those of the table
REASON = "where, or why not"
LEAST = ("images/s", "lr", "error", "left")  # what a narrow table leaves out, the first first
FEWEST, NARROWEST = 4, 10  # digits of a hash; columns for a run


class ProgressTable:
    """Where a driver says which runs it starts and how they end."""

    def __init__(self, console: Console, runs: Mapping[Run, int], results: Path) -> None:
        """Show `runs`, given with the number of training images that they process."""
        self._console, self._runs, self._results = console, runs, results
        before = {run: run_status.look(run, results, images) for run, images in runs.items()}
        self._statuses = {run: replace(status, state="waiting", where="", words="") for run, status in before.items()}
        self._ended, self._next = 0, 0.0
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def __enter__(self) -> Self:
        if self._console.is_interactive:
            self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._live.stop()

    def started(self, run: Run) -> None:
        """Take note of a run that begins or goes on."""
        self._statuses[run] = replace(self._statuses[run], state="running")
        if not self._console.is_interactive:
            say(self._console, f"training {run.run_id}")

    def ended(self, run: Run, outcome: State, words: str = "") -> None:
        """Take note of a run that is 'done', 'stopped' or 'failed', and of why it failed."""
        self._ended += 1
        last = self._statuses[run]
        self._statuses[run] = replace(
            last, state=outcome, words=words, where="", seen=last.images if outcome == "done" else last.seen
        )
        name = in_words(run) if self._console.is_interactive else run.run_id
        say(self._console, f"{outcome}: {name} ({self._ended} of {len(self._runs)})")

    def look(self) -> None:
        """Read from their files how far the running ones are, and draw; once a second at most."""
        if not self._console.is_interactive or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + REFRESH_SECONDS
        for run, status in self._statuses.items():
            if status.state == "running":
                self._statuses[run] = replace(run_status.look(run, self._results, status.images), state="running")
        self._live.update(screen(self._statuses.values(), *self._console.size), refresh=True)


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


def screen(statuses: Iterable[RunStatus], width: int, height: int) -> Group:
    """Return what fits into a screen: the table, the running and the failed runs first, and a line about all."""
    ordered = sorted(statuses, key=lambda status: ORDER.index(status.state))
    head, *rows = table(ordered, width)
    ends = list(accumulate(map(len, rows)))
    shown = max(1, sum(end <= height - RESERVED for end in ends))
    more = [] if shown >= len(rows) else [Text(f"and {len(rows) - shown} more")]
    return Group(*head, *chain(*rows[:shown]), *more, Text(run_status.summary(ordered)))


def table(statuses: Iterable[RunStatus], width: int | None = None) -> list[list[Text]]:
    """Return the lines of the table's head and of every run, none wider than `width`; None: as wide as needed.

    A narrow table leaves out first where runs are trained, then the hashes, then the numbers that matter least. Why a
    run failed, and a name that is too long, continue on lines of their own.
    """
    shown = list(statuses)
    names = [(status.name or status.run_id).rpartition(" ") for status in shown]
    words = [words or last for words, _, last in names]
    hashes = [last if words else "" for words, _, last in names]
    reasons = [visible("; ".join(filter(None, (status.where, status.words)))) for status in shown]
    cells = {name: [name, *(cell(status) for status in shown)] for name, cell in NUMBERS.items()}
    if width is None:
        width = sys.maxsize
    longest, lead = max(map(len, ["run", *words])), max(map(len, ["run", *_joined(words, hashes)]))
    columns, beside = list(NUMBERS), True
    if lead + _width(cells, columns) + GAP + max(map(len, [REASON, *reasons])) > width:
        beside, reasons = False, [visible(status.words) for status in shown]
    while columns[2:] and longest + _width(cells, columns) > width:
        columns.remove(next(name for name in LEAST if name in columns))
    room = max(NARROWEST, width - _width(cells, columns))
    digits = room - longest - 1
    titles = ["run", *_joined(words, [digest[:digits] if digits >= FEWEST else "" for digest in hashes])]
    lead = min(room, max(map(len, titles)))
    lines = []
    for row, (title, reason) in enumerate(zip(titles, [REASON if beside else "", *reasons], strict=True)):
        first, *rest = textwrap.wrap(title, lead, subsequent_indent="  ", break_on_hyphens=False) or [""]
        line = first.ljust(lead) + "".join(_aligned(name, cells, row) for name in columns)
        line += " " * GAP + reason if beside else ""
        below = textwrap.wrap(reason, width, initial_indent="    ", subsequent_indent="    ") if not beside else []
        style = COLOURS[shown[row - 1].state] if row else "bold"
        lines.append([Text(text.rstrip(), style) for text in (line, *rest, *below)])
    return lines


def _joined(words: Sequence[str], hashes: Sequence[str]) -> list[str]:
    return [f"{text} {digest}".rstrip() for text, digest in zip(words, hashes, strict=True)]


def _width(cells: Mapping[str, Sequence[str]], columns: Sequence[str]) -> int:
    return sum(GAP + max(map(len, cells[name])) for name in columns)


def _aligned(name: str, cells: Mapping[str, Sequence[str]], row: int) -> str:
    text, width = cells[name][row], max(map(len, cells[name]))
    return " " * GAP + (text.ljust(width) if name == "state" else text.rjust(width))


def _left(status: RunStatus) -> str:
    left = status.left if status.state in ("running", "stopped") else None
    return "-" if left is None else duration(left)


NUMBERS: dict[str, Callable[[RunStatus], str]] = {
    "state": lambda status: status.state,
    "done": lambda status: f"{100 * status.seen / status.images:.1f} %" if status.images else "-",
    "lr": lambda status: "-" if status.lr is None else f"{status.lr:.4f}",
    "error": lambda status: "-" if status.error is None else f"{status.error:.2f} %",
    "images/s": lambda status: "-" if status.images_per_second is None else f"{status.images_per_second:,.0f}",
    "left": _left,
}
