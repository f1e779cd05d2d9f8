"""Train a run in this process: one idempotent call that starts, goes on with or skips it."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from snapshot_cli import lock
from snapshot_cli.config.experiment import Run
from snapshot_cli.config.machine import Machine, processors
from snapshot_cli.datasets import prepare, store
from snapshot_cli.errors import UserError
from snapshot_cli.files import remove_leftovers
from snapshot_cli.run_directory import RunDirectory

if TYPE_CHECKING:
    import torch

    from snapshot_cli.training.loop import Watcher

ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
DECODER_DIED = "DataLoader worker"  # how torch's message begins
FACTS = ("device", "device_name", "threads", "deterministic", "python", "versions", "commit", "uncommitted_changes")
NUMBERS = (
    "device",
    "device_name",
    "threads",
    "deterministic",
    "versions",
)  # may change the last digits; with the code, more


def train(
    run: Run,
    machine: Machine,
    *,
    watcher: Watcher,
    stop: Callable[[], bool] = lambda: False,
    note: Callable[[str], None] = lambda text: None,
    patience: float = 0.0,
) -> RunDirectory:
    """Train what is missing of a run and return its directory; a finished run is only checked against its dataset.

    `note` is told what a person should know. Raises UserError when another process still holds the run's directory
    after `patience` seconds, or when the disk is full, which loses nothing that was saved.
    """
    dataset_hash = prepared(run.dataset, machine).content_hash
    directory = RunDirectory.of(run, machine.results)
    if directory.status == "done":
        _check(run, directory, dataset_hash)
        if not directory.lacking("test") + directory.lacking("holdout") and not directory.resume_path.exists():
            return directory

    from snapshot_cli.training import hardware, loop

    device, dataset = _device(machine), _dataset(run, machine)
    with _alone(directory, note, patience), hardware.kernels(deterministic=machine.deterministic):
        if directory.status == "absent":
            directory.start(run, hardware.describe(device) | {"dataset_hash": dataset_hash})
        else:
            _check(run, directory, dataset_hash)
        if directory.status == "done":
            directory.resume_path.unlink(missing_ok=True)
            loop.predict_again(run, dataset, directory, device=device, workers=_workers(machine))
            return directory
        _note_differences(directory, hardware.describe(device), note)
        loop.train(
            run,
            dataset,
            directory,
            device=device,
            watcher=watcher,
            stop=stop,
            checkpoint_seconds=machine.checkpoint_seconds,
            workers=_workers(machine),
        )
    return directory


def interpolate(run: Run, machine: Machine, *, stop: Callable[[], bool] = lambda: False) -> None:
    """Store the errors between the snapshots of a finished run, once; nothing for a run of one snapshot."""
    directory = RunDirectory.of(run, machine.results)
    if directory.has_interpolation or run.snapshots == 1:
        return

    from snapshot_cli.training import hardware
    from snapshot_cli.training.interpolate import interpolate

    device, dataset = _device(machine), _dataset(run, machine)
    with _alone(directory), hardware.kernels(deterministic=machine.deterministic):
        interpolate(run, dataset, directory, device=device, workers=_workers(machine), stop=stop)


@contextmanager
def _alone(
    directory: RunDirectory, note: Callable[[str], None] = lambda text: None, patience: float = 0.0
) -> Iterator[None]:
    """Hold the lock of a directory, without what killed processes left there; a full disk becomes a UserError."""
    try:
        with lock.hold(directory.path, note=note, patience=patience):
            _refuse_links(directory)
            remove_leftovers(directory.path)
            yield
    except OSError as error:
        if error.errno not in ROOM:
            raise
        where = error.filename or directory.path
        raise UserError(f"{where}: {error.strerror}; make room, then the same command goes on") from error
    except RuntimeError as error:
        if not str(error).startswith(DECODER_DIED):
            raise
        raise UserError(
            f"{directory.path}: a process that decodes images has died ({_last_sentence(error)}); where memory was"
            " short, fewer --workers need less; the same command goes on from the last saved state"
        ) from error


def _refuse_links(directory: RunDirectory) -> None:
    """Refuse folders that lie elsewhere, where nothing of a run is to be written."""
    for name in ("snapshots", "predictions"):
        if (directory.path / name).is_symlink():
            raise UserError(f"{directory.path / name}: a link to elsewhere; move what it leads to here in its place")


def _last_sentence(error: RuntimeError) -> str:
    return str(error).splitlines()[0].rstrip(". ")


def _workers(machine: Machine) -> int:
    """Return the processes that decode streamed images: as many as are asked for, else one a processor."""
    return processors() if machine.workers is None else machine.workers


def _device(machine: Machine) -> torch.device:
    """Return the device, with as many threads as are asked for."""
    import torch

    from snapshot_cli.training import hardware

    device = hardware.choose(machine.device)
    if machine.threads:
        torch.set_num_threads(machine.threads)
    return device


def _dataset(run: Run, machine: Machine) -> store.Dataset:
    """Return a prepared dataset after comparing every byte with its manifest."""
    store.verify(machine.data, run.dataset)
    return store.load(machine.data, run.dataset)


def _note_differences(directory: RunDirectory, now: dict[str, Any], note: Callable[[str], None]) -> None:
    """Record what differs from where the run was last trained, and say what may change its numbers."""
    last = {"deterministic": False}  # as earlier versions trained, which do not say so
    last |= {name: value for place in directory.places for name, value in place.items()}
    differing = {name: now[name] for name in FACTS if now[name] != last.get(name)}
    if not differing:
        return
    directory.moved({"started": now["started"], **differing})
    words = [f"{name} {last.get(name)} -> {now[name]}" for name in NUMBERS if name in differing]
    if words:
        note(
            f"{directory.path}: goes on where {'; '.join(words)}: numbers may differ in their last digits from those "
            f"of a run that was not stopped"
        )


def prepared(name: str, machine: Machine) -> store.Manifest:
    """Return the manifest of a dataset, after preparing it when that needs nothing from outside."""
    manifest = store.read_manifest(machine.data, name)
    return prepare.prepare(name, machine.data) if manifest is None else manifest


def _check(run: Run, directory: RunDirectory, dataset_hash: str) -> None:
    """Refuse a directory that holds another run, or one that was trained on other images."""
    assert directory.run == run  # reading it refuses another one
    if directory.machine.get("dataset_hash") != dataset_hash:
        raise UserError(
            f"{directory.path}: was trained on other images than those prepared as '{run.dataset}' now; "
            f"prepare the dataset that it was trained on, or delete the directory and train it again"
        )
