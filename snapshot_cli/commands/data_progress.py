"""Progress of downloads and of reading files, on stderr: a bar on a terminal, a line elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

if TYPE_CHECKING:
    from snapshot_cli.datasets.index import Reading


class Downloads:
    """Show the progress of downloads; call it with the URL, the bytes received, and the size of the file."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        self._bar = Progress(*columns, TimeRemainingColumn(), console=self._console)
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._console.is_terminal:
            self._bar.stop()

    def __call__(self, address: str, done: int, whole: int | None) -> None:
        """Show that `done` of `whole` bytes have arrived from an address."""
        if address not in self._tasks:
            self._tasks[address] = self._bar.add_task(address.rpartition("/")[2], total=whole)
            size = f" ({whole / 1e6:,.0f} MB)" if whole else ""
            self._console.print(f"downloading {address}{size}", highlight=False, soft_wrap=True)
        self._bar.update(self._tasks[address], completed=done, total=whole)


@contextmanager
def files_read(console: Console | None = None) -> Iterator[Reading]:
    """Yield a function that shows how many files are read; it shows nothing before its first call."""
    console = console or Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    tasks = list[TaskID]()

    def show(done: int, whole: int) -> None:
        if not tasks:
            tasks.append(bar.add_task("reading", total=whole))
            console.print(f"reading {whole:,} files", highlight=False)
            bar.start()  # not before, since a terminal has room for one bar and a download may come first
        bar.update(tasks[0], completed=done, total=whole)

    try:
        yield show
    finally:
        bar.stop()
