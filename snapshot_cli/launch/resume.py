"""Whether a run's directory may be taken up here and now, and what is recorded of where the run is trained."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from snapshot_cli.config.experiment import Run
from snapshot_cli.config.machine import Machine
from snapshot_cli.errors import ConfigError, other_images
from snapshot_cli.run_directory import RunDirectory

# NUMBERS may change the last digits, ranks more of them; with the code, everything may change
NUMBERS = ("device", "device_name", "threads", "deterministic", "compile", "ranks", "versions")
FACTS = (*NUMBERS, "bfloat16_unit", "python", "commit", "uncommitted_changes")


def finished(run: Run, directory: RunDirectory, dataset_hash: str) -> bool:
    """Tell whether nothing is left to do; UserError where what is done was done on other images."""
    if directory.status != "done":
        return False
    _check(run, directory, dataset_hash)
    return not directory.lacking("test") + directory.lacking("holdout") and not directory.resume_path.exists()


def take_up(
    run: Run, directory: RunDirectory, place: dict[str, Any], machine: Machine, note: Callable[[str], None]
) -> None:
    """Begin a directory, or record that a run goes on at another place than before, where that is allowed."""
    if directory.status == "absent":
        return directory.start(run, place)
    _check(run, directory, place["dataset_hash"])
    if directory.status == "done":
        return directory.resume_path.unlink(missing_ok=True)
    before, now = _last_place(directory)["ranks"], place["ranks"]
    if before != now and not machine.other_ranks:
        raise ConfigError(
            f"{directory.path}: was trained in {_processes(before)}, and would go on in {now}, which changes its "
            f"numbers; start torchrun with {before}, or give --other-ranks"
        )
    return _note_differences(directory, place, note)


def _processes(count: int) -> str:
    return "1 process" if count == 1 else f"{count} processes"


def _last_place(directory: RunDirectory) -> dict[str, Any]:
    """Return what is recorded of where a run was last trained."""
    last: dict[str, Any] = {"deterministic": False, "compile": False, "ranks": 1}  # where an earlier version trained
    return last | {name: value for place in directory.places for name, value in place.items()}


def _note_differences(directory: RunDirectory, now: dict[str, Any], note: Callable[[str], None]) -> None:
    """Record what differs from where the run was last trained, and say what may change its numbers."""
    last = _last_place(directory)
    differing = {name: now[name] for name in FACTS if now[name] != last.get(name)}
    if not differing:
        return
    directory.moved({"started": now["started"], **differing})
    words = [f"{name} {last.get(name)} -> {now[name]}" for name in NUMBERS if name in differing]
    how = "numbers differ" if "ranks" in differing else "numbers may differ in their last digits"
    if words:
        note(f"{directory.path}: goes on where {'; '.join(words)}: {how} from those of a run that was not stopped")


def _check(run: Run, directory: RunDirectory, dataset_hash: str) -> None:
    """Refuse a directory that holds another run, or one that was trained on other images."""
    _ = directory.run  # reading it refuses another one
    if directory.machine.get("dataset_hash") != dataset_hash:
        raise other_images(directory.path, run.dataset)
