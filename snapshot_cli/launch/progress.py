"""Show the progress of one training on stderr: a bar on a terminal, a line per epoch elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Column

BAR_WIDTH = 12  # the line has 78 columns: it fits a terminal of 80, with room for the ^C that it echoes
MIN_DATA_WAIT = 0.05  # share of time; a shorter wait is not shown


class Bar:
    """A live bar: epoch, lr, loss of the last epoch, images per second and time left."""

    def __init__(self, console: Console, batch_size: int) -> None:
        text = TextColumn("{task.description}", table_column=Column(no_wrap=True, overflow="ellipsis"))
        columns = (text, BarColumn(BAR_WIDTH), TaskProgressColumn(), TimeRemainingColumn())
        self._progress = Progress(*columns, console=console)
        self._batch_size = batch_size
        self._last_epoch = ""
        self._next = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def on_start(self, done: int, total_steps: int, epoch_length: int) -> None:
        """Show the bar."""
        self._length, self._epochs = epoch_length, -(-total_steps // epoch_length)
        self._task = self._progress.add_task("", total=total_steps, completed=done)
        self._progress.start()
        self._done, self._started = done, time.monotonic()

    def on_step(self, step: int, lr: float) -> None:
        """Move the bar, at most ten times a second."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + 0.1
        epoch = (step - 1) // self._length + 1
        text = f"epoch {epoch}/{self._epochs}  lr {lr:.4f}  {self._last_epoch or self._speed(step)}"
        self._progress.update(self._task, completed=step, description=text)

    def on_epoch(self, row: dict[str, float]) -> None:
        """Show the loss and speed of the epoch."""
        self._last_epoch = f"loss {row['train_loss']:.4f}  {row['images_per_second']:,.0f} images/s{_data_wait(row)}"
        self._progress.update(self._task, completed=int(row["iteration"]))

    def _speed(self, step: int) -> str:
        """Return the images per second since the start, shown until the first epoch ends."""
        images, seconds = (step - self._done) * self._batch_size, time.monotonic() - self._started
        return f"{images / seconds:,.0f} images/s" if seconds > 0 else ""


class Lines:
    """A line for every finished epoch."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def on_start(self, done: int, total_steps: int, epoch_length: int) -> None:
        """Print the step after which training resumes."""
        self._epochs = -(-total_steps // epoch_length)
        if done:
            say(self._console, f"resuming after step {done} of {total_steps}")

    def on_step(self, step: int, lr: float) -> None:
        """Print nothing."""

    def on_epoch(self, row: dict[str, float]) -> None:
        """Print the epoch's row."""
        say(
            self._console,
            f"epoch {row['epoch']:.0f}/{self._epochs}  lr {row['rate']:.4f}  loss {row['train_loss']:.4f}  "
            f"error {row['train_error']:.2f} %  {row['images_per_second']:,.0f} images/s{_data_wait(row)}",
        )


def _data_wait(row: Mapping[str, float]) -> str:
    """Return the share of time that the device waited for images, as text; empty if it is small."""
    share = row.get("data_wait", 0.0)
    return f"  data wait {share:.0%}" if share >= MIN_DATA_WAIT else ""


def progress_callback(console: Console, batch_size: int) -> Bar | Lines:
    """Return a bar for a terminal, lines for anything else."""
    return Bar(console, batch_size) if console.is_interactive else Lines(console)


def say(console: Console, text: str) -> None:
    """Print a line without markup: a path may contain brackets."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)
