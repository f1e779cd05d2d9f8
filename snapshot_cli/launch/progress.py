"""What a person sees while runs are trained: a bar on a terminal, lines elsewhere; on stderr, never read back."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from snapshot_cli.config.experiment import Run
from snapshot_cli.errors import UserError
from snapshot_cli.run_directory import RunDirectory

COLUMNS = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())


class Bar:
    """A live bar: epoch, rate, loss of the last epoch, images per second and the time left."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(*COLUMNS, console=console)
        self._facts = "loss -"
        self._next = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def begin(self, done: int, iterations: int, epoch_length: int) -> None:
        """Show the bar."""
        self._length, self._epochs = epoch_length, -(-iterations // epoch_length)
        self._task = self._progress.add_task("", total=iterations, completed=done)
        self._progress.start()

    def iteration(self, iteration: int, rate: float) -> None:
        """Move the bar, ten times a second at most."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + 0.1
        epoch = (iteration - 1) // self._length + 1
        text = f"epoch {epoch}/{self._epochs}  rate {rate:.4f}  {self._facts}"
        self._progress.update(self._task, completed=iteration, description=text)

    def epoch(self, row: dict[str, float]) -> None:
        """Show the loss and the speed of the epoch."""
        self._facts = f"loss {row['train_loss']:.4f}  {row['images_per_second']:,.0f} images/s"
        self._progress.update(self._task, completed=int(row["iteration"]))


class Lines:
    """A line for every finished epoch."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def begin(self, done: int, iterations: int, epoch_length: int) -> None:
        """Say where training goes on."""
        self._epochs = -(-iterations // epoch_length)
        if done:
            say(self._console, f"going on after {done} of {iterations} iterations")

    def iteration(self, iteration: int, rate: float) -> None:
        """Say nothing."""

    def epoch(self, row: dict[str, float]) -> None:
        """Print the epoch's row."""
        say(
            self._console,
            f"epoch {row['epoch']:.0f}/{self._epochs}  rate {row['rate']:.4f}  loss {row['train_loss']:.4f}  "
            f"error {row['train_error']:.2f} %  {row['images_per_second']:,.0f} images/s",
        )


class Board:
    """Many runs at once: a bar over all images on a terminal, a line for every start and end elsewhere."""

    def __init__(self, console: Console, runs: Mapping[Run, int], results: Path) -> None:
        """Show `runs`, each with the number of training images that it looks at."""
        self._console, self._runs, self._results = console, runs, results
        self._done: dict[Run, int] = {}
        self._ended = 0
        self._progress = Progress(*COLUMNS, console=console, disable=not console.is_terminal)
        self._task = self._progress.add_task("", total=sum(runs.values()))

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def started(self, run: Run) -> None:
        """Take note of a run that begins or goes on."""
        if not self._console.is_terminal:
            say(self._console, f"training {run.run_id}")

    def ended(self, run: Run, outcome: str) -> None:
        """Take note of a run that is 'done', 'stopped' or 'failed'."""
        self._ended += 1
        if outcome == "done":
            self._done[run] = self._runs[run]
        say(self._console, f"{outcome}: {run.run_id} ({self._ended} of {len(self._runs)})")

    def look(self, running: Sequence[Run]) -> None:
        """Read from their files how far the running ones are."""
        if not self._console.is_terminal:
            return
        for run in running:
            self._done[run] = min(_images_seen(run, self._results), self._runs[run])
        text = f"{self._ended} of {len(self._runs)} runs, {len(running)} in training"
        self._progress.update(self._task, completed=sum(self._done.values()), description=text)


def _images_seen(run: Run, results: Path) -> int:
    """Return how many images a run has looked at by the end of its last epoch; 0 where its files do not say."""
    try:
        rows = RunDirectory.of(run, results).metrics()
        return int(rows[-1]["iteration"]) * run.batch_size
    except (UserError, LookupError, ValueError, OverflowError):
        return 0


def watcher(console: Console) -> Bar | Lines:
    """Return a bar for a terminal, lines for anything else."""
    return Bar(console) if console.is_terminal else Lines(console)


def say(console: Console, text: str) -> None:
    """Print a line as it is: brackets in a path are no markup."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)
