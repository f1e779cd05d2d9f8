"""Train a run in this process: one idempotent call that starts, goes on with or skips it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from snapshot_cli.config.experiment import Run
from snapshot_cli.config.machine import Machine
from snapshot_cli.datasets import prepare, store
from snapshot_cli.errors import UserError
from snapshot_cli.run_directory import RunDirectory

if TYPE_CHECKING:
    from snapshot_cli.training.loop import Watcher


def train(run: Run, machine: Machine, *, watcher: Watcher, stop: Callable[[], bool] = lambda: False) -> RunDirectory:
    """Train what is missing of a run and return its directory; a finished run is only checked against its dataset."""
    dataset_hash = prepared(run.dataset, machine).content_hash
    directory = RunDirectory.of(run, machine.results)
    if directory.status != "absent":
        _check(run, directory, dataset_hash)
    if directory.status == "done":
        return directory

    import torch

    from snapshot_cli.training import hardware, loop

    device = hardware.choose(machine.device)
    if machine.threads:
        torch.set_num_threads(machine.threads)
    if directory.status == "absent":
        directory.start(run, hardware.describe(device) | {"dataset_hash": dataset_hash})
    dataset = store.load(machine.data, run.dataset)
    loop.train(run, dataset, directory, device=device, watcher=watcher, stop=stop)
    return directory


def prepared(name: str, machine: Machine) -> store.Manifest:
    """Return the manifest of a dataset, after preparing it when that needs nothing from outside."""
    manifest = store.read_manifest(machine.data, name)
    return prepare.prepare(name, machine.data) if manifest is None else manifest


def _check(run: Run, directory: RunDirectory, dataset_hash: str) -> None:
    """Refuse a directory that holds another run, or one that was trained on other images."""
    held = directory.run.model_dump()
    differing = [name for name, value in run.model_dump().items() if held[name] != value]
    if differing:
        raise UserError(
            f"{directory.path}: holds another run: {', '.join(differing)} differ; delete it and train it again"
        )
    if directory.machine.get("dataset_hash") != dataset_hash:
        raise UserError(
            f"{directory.path}: was trained on other images than those prepared as '{run.dataset}' now; "
            f"prepare the dataset that it was trained on, or delete the directory and train it again"
        )
