"""How far runs are, where they run and why they failed: from files alone, so from any process and any host."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from snapshot_cli import lock
from snapshot_cli.config.experiment import Run
from snapshot_cli.config.run_words import in_words
from snapshot_cli.durations import duration
from snapshot_cli.errors import UserError, words_of
from snapshot_cli.launch import train_process
from snapshot_cli.launch.saved_step import saved_step
from snapshot_cli.run_directory import RunDirectory

State = Literal["running", "failed", "stopped", "waiting", "done"]
ORDER: tuple[State, ...] = ("running", "failed", "stopped", "waiting", "done")
SILENT_SECONDS = 3600.0  # a training saves its state every 300 seconds, unless it is told otherwise


@dataclass(frozen=True)
class RunStatus:
    """How a run stands as of its last finished epoch, or of its checkpoint where that is later."""

    run_id: str
    state: State
    images: int
    """Training images that the run looks at in all."""
    seen: int = 0
    """Training images that it has looked at."""
    lr: float | None = None
    """Learning rate at the end of the epoch."""
    error: float | None = None
    """Training error of the epoch in percent."""
    images_per_second: float | None = None
    where: str = ""
    """Host and process of a running one."""
    name: str = ""
    """The run in words."""
    words: str = ""
    """Why it failed, or what is odd about it."""

    @property
    def left(self) -> float | None:
        """Seconds that are left at the speed of the last epoch; None where there was none."""
        return (self.images - self.seen) / self.images_per_second if self.images_per_second else None


def look(run: Run, results: Path, images: int, *, is_scored: bool = False) -> RunStatus:
    """Return how a run stands that looks at `images` training images in all; scores are enough for one to be done."""
    directory = RunDirectory.of(run, results)
    try:
        state, where, words = _state(directory)
    except OSError as error:  # another user's, say
        return RunStatus(run.run_id, "failed", images, words=words_of(error), name=in_words(run))
    if state == "waiting" and is_scored:
        state, words = "done", "its scores are there"
    saved = min(saved_step(directory.resume_path) * run.batch_size, images)
    status = RunStatus(
        run.run_id, state, images, images if state == "done" else saved, where=where, words=words, name=in_words(run)
    )
    try:
        rows = directory.metrics()
        return _with_epoch(status, rows[-1], run) if rows else status
    except (UserError, OSError) as error:
        return replace(status, words=words or words_of(error))
    except (LookupError, ValueError, OverflowError):  # half a row, of an epoch that is being written elsewhere
        return status


def summary(statuses: Iterable[RunStatus]) -> str:
    """Return a line with the number of runs by state, the share of images processed and the time left."""
    all_of_them = list(statuses)
    counts = Counter(status.state for status in all_of_them)
    total, seen = sum(status.images for status in all_of_them), sum(status.seen for status in all_of_them)
    line = f"{len(all_of_them)} run{'s' * (len(all_of_them) != 1)}: "
    line += ", ".join(f"{counts[state]} {state}" for state in reversed(ORDER) if counts[state])
    line += f"; {100 * seen / total:.1f} % of the images" if total else ""
    speed = sum(status.images_per_second or 0.0 for status in all_of_them if status.state == "running")
    return f"{line}, {duration((total - seen) / speed)} left at {speed:,.0f} images/s" if speed else line


def _state(directory: RunDirectory) -> tuple[State, str, str]:
    """Return a run's state, where it runs, and why it failed or when it last gave a sign of life."""
    holder = lock.holder(directory.path)
    if holder is not None and not holder.gone:
        return "running", f"{holder.host}, process {holder.pid}", _silence(directory)
    if directory.status == "done":
        return "done", "", ""
    failure = train_process.failure(directory.path)
    if failure is not None:
        return "failed", "", failure
    return ("stopped" if directory.status == "partial" else "waiting"), "", ""


def _silence(directory: RunDirectory) -> str:
    """Say how long nothing was written by a run whose lock is held, where that is long: its host may be gone."""
    paths = (directory.path / lock.FILE_NAME, directory.resume_path)
    signs = [path.stat().st_mtime for path in paths if path.exists()]
    seconds = time.time() - max(signs, default=time.time())
    return f"no sign of life for {duration(seconds)}" if seconds > SILENT_SECONDS else ""


def _with_epoch(status: RunStatus, row: Mapping[str, float], run: Run) -> RunStatus:
    seen = max(status.seen, min(int(row["iteration"]) * run.batch_size, status.images))
    return replace(
        status,
        seen=status.images if status.state == "done" else seen,
        lr=row["rate"],
        error=row["train_error"],
        images_per_second=row["images_per_second"],
    )
