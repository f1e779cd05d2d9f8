"""Start or resume a run directory: whether that is allowed here, and what is recorded of the environment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from snapshot_cli.config.experiment import Run
from snapshot_cli.config.machine import Machine
from snapshot_cli.errors import ConfigError, other_images
from snapshot_cli.run_directory import RunDirectory

# A change of these can change the last digits of a run's numbers; other ranks change more.
AFFECT_NUMBERS = ("device", "device_name", "threads", "deterministic", "compile", "ranks", "versions")
RECORDED = (*AFFECT_NUMBERS, "bfloat16_unit", "python", "commit", "uncommitted_changes")


def is_finished(run: Run, directory: RunDirectory, dataset_hash: str) -> bool:
    """Return whether nothing is left to do; UserError if the run was trained on other images."""
    if directory.status != "done":
        return False
    _check(run, directory, dataset_hash)
    missing = directory.missing_predictions("test") + directory.missing_predictions("holdout")
    return not missing and not directory.resume_path.exists()


def start_or_resume(
    run: Run, directory: RunDirectory, environment: dict[str, Any], machine: Machine, note: Callable[[str], None]
) -> None:
    """Start a run directory, or record how the environment of a resumed run differs from the last one.

    Raises ConfigError for another number of ranks, unless `machine.other_ranks` allows it.
    """
    if directory.status == "absent":
        return directory.start(run, environment)
    _check(run, directory, environment["dataset_hash"])
    if directory.status == "done":
        return directory.resume_path.unlink(missing_ok=True)
    before, now = _last_environment(directory)["ranks"], environment["ranks"]
    if before != now and not machine.other_ranks:
        raise ConfigError(
            f"{directory.path}: was trained in {_processes(before)}; resuming in {now} changes its numbers; "
            f"start torchrun with {before}, or give --other-ranks"
        )
    return _note_differences(directory, environment, note)


def _processes(count: int) -> str:
    return "1 process" if count == 1 else f"{count} processes"


def _last_environment(directory: RunDirectory) -> dict[str, Any]:
    """Return the recorded environment in which a run was last trained."""
    last: dict[str, Any] = {"deterministic": False, "compile": False, "ranks": 1}  # not recorded by older versions
    return last | {name: value for environment in directory.environments for name, value in environment.items()}


def _note_differences(directory: RunDirectory, now: dict[str, Any], note: Callable[[str], None]) -> None:
    """Record the differences from the last environment, and note those that may change the run's numbers."""
    last = _last_environment(directory)
    differing = {name: now[name] for name in RECORDED if now[name] != last.get(name)}
    if not differing:
        return
    directory.record_environment({"started": now["started"], **differing})
    words = [f"{name} {last.get(name)} -> {now[name]}" for name in AFFECT_NUMBERS if name in differing]
    how = "numbers differ" if "ranks" in differing else "numbers may differ in their last digits"
    if words:
        note(f"{directory.path}: resumes with {'; '.join(words)}: {how} from those of an uninterrupted run")


def _check(run: Run, directory: RunDirectory, dataset_hash: str) -> None:
    """Raise UserError for a directory that holds another run, or one trained on other images."""
    _ = directory.run  # raises UserError for another run
    if directory.machine.get("dataset_hash") != dataset_hash:
        raise other_images(directory.path, run.dataset)
