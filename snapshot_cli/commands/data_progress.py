"""Progress of downloads and of reading files, on stderr: a bar on a terminal, otherwise a line."""

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

from snapshot_cli import output

if TYPE_CHECKING:
    from snapshot_cli.datasets.index import ReadProgress


class Downloads:
    """Show the progress of downloads; call it with the URL, the bytes received, and the size of the file."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or output.console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        self._bar = Progress(*columns, TimeRemainingColumn(), console=self._console)
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        if self._console.is_interactive:
            self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._console.is_interactive:
            self._bar.stop()

    def __call__(self, url: str, done: int, size: int | None) -> None:
        """Show that `done` of `size` bytes have arrived from a URL."""
        if url not in self._tasks:
            self._tasks[url] = self._bar.add_task(url.rpartition("/")[2], total=size)
            megabytes = f" ({size / 1e6:,.0f} MB)" if size else ""
            self._console.print(f"downloading {url}{megabytes}", highlight=False, soft_wrap=True)
        self._bar.update(self._tasks[url], completed=done, total=size)


@contextmanager
def files_read(console: Console | None = None) -> Iterator[ReadProgress]:
    """Yield a function that shows how many files are read; nothing is shown before its first call."""
    console = console or output.console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=console, transient=True, disable=not console.is_interactive)
    tasks = list[TaskID]()

    def show(done: int, total: int) -> None:
        if not tasks:
            tasks.append(bar.add_task("reading", total=total))
            console.print(f"reading {total:,} files", highlight=False)
            bar.start()  # not earlier: a download may show its bar first, and a terminal shows one bar at a time
        bar.update(tasks[0], completed=done, total=total)

    try:
        yield show
    finally:
        if not bar.disable:  # rich before 14.3 would end with an empty line
            bar.stop()
