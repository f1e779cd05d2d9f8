"""Show the progress of many runs: a live table on a terminal, a line for every start and end elsewhere."""

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
from snapshot_cli.config.plan import run_label
from snapshot_cli.errors import visible
from snapshot_cli.launch import failure, run_status
from snapshot_cli.launch.failure import Failure
from snapshot_cli.launch.progress import say
from snapshot_cli.launch.run_status import ORDER, RunStatus, State
from snapshot_cli.run_directory import RunDirectory
from snapshot_cli.words import duration

COLOURS = {"running": "cyan", "failed": "red", "stopped": "yellow", "waiting": "", "done": "green"}
REFRESH_SECONDS = 1.0
RESERVED = 5  # lines of the screen for the table's head, the summary below it and messages above it
GAP = 2  # spaces between columns
REASON = "where, or why not"
OPTIONAL = ("images/s", "lr", "error", "left")  # columns that a narrow table leaves out, in this order
MIN_HASH_DIGITS, MIN_RUN_WIDTH = 4, 10
MIN_WIDTHS = {"done": 7, "lr": 6, "error": 7}  # of columns, so that the live table stays in place


class ProgressTable:
    """The table of an engine's runs; the engine reports their starts and ends."""

    def __init__(self, console: Console, runs: Mapping[Run, int], results: Path) -> None:
        """Show runs, given with the number of training images that each processes."""
        self._console, self._runs, self._results = console, runs, results
        self._statuses = {
            run: replace(
                run_status.read_status(RunDirectory.of(run, results), run, images), state="waiting", where="", note=""
            )
            for run, images in runs.items()
        }
        self._ended, self._next = 0, 0.0
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def __enter__(self) -> Self:
        if self._console.is_interactive:
            self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._live.stop()

    def started(self, run: Run) -> None:
        """Record that a run starts or resumes."""
        self._statuses[run] = replace(self._statuses[run], state="running")
        if not self._console.is_interactive:
            say(self._console, f"training {run.run_id}")

    def ended(self, run: Run, outcome: State, reason: str = "") -> None:
        """Record that a run is 'done', 'stopped' or 'failed', and the reason if it failed."""
        self._ended += 1
        last = self._statuses[run]
        self._statuses[run] = replace(
            last, state=outcome, note=reason, where="", seen=last.images if outcome == "done" else last.seen
        )
        name = run_label(run) if self._console.is_interactive else run.run_id
        say(self._console, f"{outcome}: {name} ({self._ended} of {len(self._runs)})")

    def refresh(self) -> None:
        """Read the progress of the running runs from their files and draw; at most once a second."""
        if not self._console.is_interactive or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + REFRESH_SECONDS
        for run, status in self._statuses.items():
            if status.state == "running":
                latest = run_status.read_status(RunDirectory.of(run, self._results), run, status.images)
                self._statuses[run] = replace(latest, state="running")
        self._live.update(screen(self._statuses.values(), *self._console.size), refresh=True)


def record_end(
    progress: ProgressTable, run: Run, result: int | str, directory: Path, *, stopped: bool
) -> list[Failure]:
    """Report the end of a run to the table and return the failure, if it failed.

    `result` is the exit code of its process, or why there was none. After a stop request, `stopped`, every unfinished
    run counts as stopped, whatever its code.
    """
    if result == 0 or stopped:
        progress.ended(run, "done" if result == 0 else "stopped")
        return []
    failed = Failure(run.run_id, failure.record(directory, result), directory)
    progress.ended(run, "failed", failed.short_reason)
    return [failed]


def screen(statuses: Iterable[RunStatus], width: int, height: int) -> Group:
    """Return the part of the table that fits the screen, running and failed runs first, and a summary line."""
    ordered = sorted(statuses, key=lambda status: ORDER.index(status.state))
    head, *rows = table(ordered, width)
    ends = list(accumulate(map(len, rows)))
    shown = max(1, sum(end <= height - RESERVED for end in ends))
    more = [] if shown >= len(rows) else [Text(f"and {len(rows) - shown} more")]
    return Group(*head, *chain(*rows[:shown]), *more, Text(run_status.summary(ordered)))


def table(statuses: Iterable[RunStatus], width: int | None = None) -> list[list[Text]]:
    """Return the lines of the table's head and of every run, at most `width` columns wide; None: no limit.

    A narrow table leaves out the host, then hashes, then the less important numbers. The reason of a failure moves to
    a line of its own, and a long name wraps.
    """
    shown = list(statuses)
    names = [(status.name or status.run_id).rpartition(" ") for status in shown]
    words = [words or last for words, _, last in names]
    hashes = [last if words else "" for words, _, last in names]
    reasons = [visible("; ".join(filter(None, (status.where, status.note)))) for status in shown]
    cells = {
        name: [name.rjust(MIN_WIDTHS.get(name, 0)), *(cell(status) for status in shown)]
        for name, cell in NUMBERS.items()
    }
    if width is None:
        width = sys.maxsize
    longest, lead = max(map(len, ["run", *words])), max(map(len, ["run", *_joined(words, hashes)]))
    columns, inline = list(NUMBERS), True
    if lead + _width(cells, columns) + GAP + max(map(len, [REASON, *reasons])) > width:
        inline, reasons = False, [visible(status.note) for status in shown]
    while columns[2:] and longest + _width(cells, columns) > width:
        columns.remove(next(name for name in OPTIONAL if name in columns))
    room = max(MIN_RUN_WIDTH, width - _width(cells, columns))
    digits = room - longest - 1
    titles = ["run", *_joined(words, [digest[:digits] if digits >= MIN_HASH_DIGITS else "" for digest in hashes])]
    lead = min(room, max(map(len, titles)))
    lines = []
    for row, (title, reason) in enumerate(zip(titles, [REASON if inline else "", *reasons], strict=True)):
        first, *rest = textwrap.wrap(title, lead, subsequent_indent="  ", break_on_hyphens=False) or [""]
        line = first.ljust(lead) + "".join(_aligned(name, cells, row) for name in columns)
        line += " " * GAP + reason if inline else ""
        below = textwrap.wrap(reason, width, initial_indent="    ", subsequent_indent="    ") if not inline else []
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
