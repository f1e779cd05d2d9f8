"""Why a run failed: kept in its directory for `snapshot status`, and listed, equal reasons together, by `reproduce`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

LOG = "log.txt"
FAILURE = "failure.txt"
NAMED = 5  # runs named for a reason


@dataclass(frozen=True)
class Failure:
    """A failed run, the reason, and the run's directory."""

    run_id: str
    reason: str
    directory: Path

    @property
    def short_reason(self) -> str:
        """The reason without the run's id and directory, so that it can equal another run's."""
        return self.reason.replace(f"{self.directory}/", "").removeprefix(f"{self.run_id}: ")

    @property
    def see(self) -> str:
        """The file with all output of the run, or else with the reason, in parentheses; empty if there is none."""
        files = (self.directory / name for name in (LOG, FAILURE))
        return next((f" (see {file})" for file in files if file.is_file()), "")


def describe(failures: Sequence[Failure]) -> list[str]:
    """Return a line per failure; for runs that failed for the same reason, the reason once and then their names."""
    groups: dict[str, list[Failure]] = {}
    for failure in failures:
        groups.setdefault(failure.short_reason, []).append(failure)
    lines = []
    for reason, (first, *others) in groups.items():
        if not others:
            lines.append(f"{first.run_id}: {reason}{first.see}")
            continue
        lines += [f"{1 + len(others)} runs: {reason}", f"  {first.run_id}{first.see}"]
        lines += [f"  {failure.run_id}" for failure in others[: NAMED - 1]]
        lines += [f"  and {1 + len(others) - NAMED} more"] if len(others) >= NAMED else []
    return lines


def record(directory: Path, result: int | str) -> str:
    """Return why a run failed, from the exit code of its process or from why none could be started.

    The reason is also written to the run's directory, if possible.
    """
    reason = result if isinstance(result, str) else _reason(directory / LOG, result)
    with suppress(OSError):  # a full disk must not stop the other runs
        (directory / FAILURE).write_text(reason + "\n", encoding="utf-8", errors="backslashreplace")
    return reason


def read(directory: Path) -> str | None:
    """Return why the last attempt of a run failed, None if it did not."""
    try:
        return (directory / FAILURE).read_text("utf-8", errors="replace").strip()
    except OSError:
        return None


def clear(directory: Path) -> None:
    """Delete the recorded reason, before a new attempt."""
    (directory / FAILURE).unlink(missing_ok=True)


def _reason(log: Path, code: int) -> str:
    if code < 0:
        return f"killed by signal {-code}"
    lines = log.read_text("utf-8", errors="replace").strip().splitlines() if log.is_file() else []
    return lines[-1] if lines else f"exited with code {code} and no output"
