"""The status of runs: progress, host, reason of failure; read from files alone, so from any process or host."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from snapshot_cli import lock
from snapshot_cli.config.experiment import Run
from snapshot_cli.config.plan import run_label
from snapshot_cli.errors import UserError, words_of
from snapshot_cli.launch import failure
from snapshot_cli.launch.failure import Failure
from snapshot_cli.launch.saved_step import saved_step
from snapshot_cli.run_directory import RunDirectory
from snapshot_cli.words import counted, duration

State = Literal["running", "failed", "stopped", "waiting", "done"]
ORDER: tuple[State, ...] = ("running", "failed", "stopped", "waiting", "done")
SILENT_SECONDS = 3600.0  # a training saves a checkpoint every 300 seconds by default


@dataclass(frozen=True)
class RunStatus:
    """The status of a run as of its last finished epoch or its checkpoint, whichever is later."""

    run_id: str
    state: State
    images: int
    """Training images to process in all."""
    seen: int = 0
    """Training images processed so far."""
    lr: float | None = None
    """Learning rate at the end of the epoch."""
    error: float | None = None
    """Training error of the epoch in percent."""
    images_per_second: float | None = None
    where: str = ""
    """Host and process of a running run."""
    name: str = ""
    """The run in words."""
    note: str = ""
    """Why it failed, or what is unusual about it."""

    @property
    def left(self) -> float | None:
        """Seconds left at the speed of the last epoch; None before its end."""
        return (self.images - self.seen) / self.images_per_second if self.images_per_second else None


def read_status(directory: RunDirectory, run: Run, images: int, *, is_scored: bool = False) -> RunStatus:
    """Return the status of a run that processes `images` training images; a scored run is done without its files."""
    try:
        state, where, note = _state(run.run_id, directory)
    except OSError as error:  # another user's directory, for example
        return RunStatus(run.run_id, "failed", images, note=words_of(error), name=run_label(run))
    if state == "waiting" and is_scored:
        state, note = "done", "only its scores are left"
    saved = min(saved_step(directory.resume_path) * run.batch_size, images)
    status = RunStatus(
        run.run_id, state, images, images if state == "done" else saved, where=where, note=note, name=run_label(run)
    )
    try:
        rows = directory.metrics()
        return _with_epoch(status, rows[-1], run) if rows else status
    except (UserError, OSError) as error:
        return replace(status, note=note or words_of(error))
    except (LookupError, ValueError, OverflowError):  # a row that another process is writing
        return status


def summary(statuses: Iterable[RunStatus]) -> str:
    """Return a line with the number of runs by state, the share of images processed and the time left."""
    runs = list(statuses)
    counts = Counter(run.state for run in runs)
    total, seen = sum(run.images for run in runs), sum(run.seen for run in runs)
    line = f"{counted(len(runs), 'run')}: "
    line += ", ".join(f"{counts[state]} {state}" for state in reversed(ORDER) if counts[state])
    line += f"; {100 * seen / total:.1f} % done" if total else ""
    speed = sum(run.images_per_second or 0.0 for run in runs if run.state == "running")
    return f"{line}, {duration((total - seen) / speed)} left at {speed:,.0f} images/s" if speed else line


def _state(run_id: str, directory: RunDirectory) -> tuple[State, str, str]:
    """Return the state of a run, its host and process, and why it failed or how long it has been silent."""
    holder = lock.holder(directory.path)
    if holder is not None and not holder.gone:
        return "running", f"{holder.host}, process {holder.pid}", _silence(directory)
    if directory.status == "done":
        return "done", "", ""
    reason = failure.read(directory.path)
    if reason is not None:
        return "failed", "", Failure(run_id, reason, directory.path).short_reason
    return ("stopped" if directory.status == "partial" else "waiting"), "", ""


def _silence(directory: RunDirectory) -> str:
    """Return a note if a run with a held lock has written nothing for long: its host may be gone."""
    paths = (directory.path / lock.FILE_NAME, directory.resume_path)
    times = [path.stat().st_mtime for path in paths if path.exists()]
    seconds = time.time() - max(times, default=time.time())
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
