"""Train a run in this process: one idempotent call that starts, goes on with or skips it."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from snapshot_cli import lock
from snapshot_cli.config import weights_file
from snapshot_cli.config.experiment import Run
from snapshot_cli.config.machine import Machine, processors
from snapshot_cli.datasets import catalogue, prepare, store
from snapshot_cli.datasets.catalogue import how_to_prepare
from snapshot_cli.errors import ConfigError, UserError
from snapshot_cli.files import remove_leftovers
from snapshot_cli.launch import resume, torchrun, train_process
from snapshot_cli.networks.names import is_external
from snapshot_cli.run_directory import RunDirectory
from snapshot_cli.training.ranks import ALONE, Ranks, join

if TYPE_CHECKING:
    import torch

    from snapshot_cli.training.loop import Callback

ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
DECODER_DIED = "DataLoader worker"  # how torch's message begins


def train(
    run: Run,
    machine: Machine,
    *,
    callback: Callback,
    stop: Callable[[], bool] = lambda: False,
    note: Callable[[str], None] = lambda text: None,
    announce: Callable[[str], None] = lambda text: None,
    patience: float = 0.0,
) -> RunDirectory:
    """Train what is missing of a run and return its directory; a finished run is only checked against its dataset.

    `note` is called with what a person should know, `announce` with "training" or "already trained" once nothing
    refuses the run any more. Raises UserError when another process still holds the run's directory after `patience`
    seconds, or when the disk is full, which loses nothing that was saved.

    Where torchrun started this process, the run is trained together with the others that it started; the first of them
    does all that is not computing.
    """
    ranks = join(machine.device)
    with ranks.first_goes_first():
        manifest = prepared(run.dataset, machine)
    directory = RunDirectory.of(run, machine.results)
    if ranks.broadcast(resume.finished(run, directory, manifest.content_hash)):
        announce("already trained")
        return directory

    from snapshot_cli.training import compiled, hardware, initial_weights, loop

    device, dataset, asked_to_compile = _device(machine), _dataset(run, machine), machine.compile
    machine = replace(machine, workers=workers(machine), compile=machine.compile and compiled.has_compiler())
    if asked_to_compile and not machine.compile:
        note("--compile: no C++ compiler here, so the network is not compiled; install g++")
    check_ranks(run, manifest, ranks)
    start, remarks = check_network(run, manifest, machine, note, ranks), list[str]()
    with _alone(directory, ranks, note, patience), hardware.kernels(deterministic=machine.deterministic):
        if ranks.first:
            now = hardware.describe(device, run.network)
            now |= {"compile": machine.compile, "ranks": ranks.count, "dataset_hash": manifest.content_hash}
            resume.take_up(run, directory, now, machine, remarks.append)
            if start is not None:
                weights_file.keep(str(run.initial_weights), start, machine.results)
        is_done = ranks.broadcast(directory.status) == "done"
        announce("already trained" if is_done else "training")
        for text in remarks:
            note(text)
        if is_done:
            loop.predict_again(run, dataset, directory, machine, stop=stop, ranks=ranks)
            return directory
        initial = None if start is None else initial_weights.read(start)
        loop.train(run, dataset, directory, machine, callback=callback, stop=stop, ranks=ranks, initial=initial)
    return directory


def check(runs: Sequence[Run], machine: Machine, note: Callable[[str], None] = lambda text: None) -> None:
    """Prepare the datasets of some runs and raise what refuses any of them, before the first of them is trained.

    Of runs that differ in nothing that matters for this, one is tried.
    """
    ranks, alike = join(machine.device), dict[tuple[object, ...], Run]()
    with ranks.first_goes_first():
        manifests = {name: prepared(name, machine) for name in dict.fromkeys(run.dataset for run in runs)}
    for run in runs:
        check_ranks(run, manifests[run.dataset], ranks)
        alike.setdefault((*_built_alike(run), _smallest_batch(run, manifests[run.dataset])), run)
    for run in alike.values():
        check_network(run, manifests[run.dataset], machine, note, ranks)


def _built_alike(run: Run) -> tuple[object, ...]:
    """Return what decides whether a run's network can be trained, and on what it starts."""
    return run.network, run.network_options, run.dropout, run.dataset, run.initial_weights


def check_network(
    run: Run, manifest: store.Manifest, machine: Machine, note: Callable[[str], None], ranks: Ranks = ALONE
) -> bytes | None:
    """Try what a run is to train before anything is written, and return the file that it starts from, if any.

    Raises UserError for a network that cannot be trained on these images, and for weights that do not fit it.
    """
    directory, smallest = RunDirectory.of(run, machine.results), _smallest_batch(run, manifest) // ranks.count
    begun = directory.status == "done" or directory.resume_path.exists()
    if not is_external(run.network) and smallest > 1 and (begun or run.initial_weights is None):
        return None

    from snapshot_cli.training import trial

    for line in trial.check(run, manifest, smallest=smallest, ranks=ranks.count):
        note(line)
    if begun or run.initial_weights is None:
        return None
    content = weights_file.content(run.initial_weights, machine.results)
    path = weights_file.path(run.initial_weights, machine.results)
    note(f"{run.network} starts from {path}: {trial.check_start(run, manifest, content, path)}")
    return content


def remark(runs: Sequence[Run], machine: Machine) -> str | None:
    """Return that the precision of any of the runs does not pay on this machine, None where it does."""
    if all(run.precision == "float32" for run in runs):
        return None

    from snapshot_cli.training import hardware

    return hardware.bfloat16_remark(hardware.choose(machine.device))


def interpolate(run: Run, machine: Machine, *, stop: Callable[[], bool] = lambda: False, patience: float = 0.0) -> None:
    """Store the errors between the snapshots of a finished run, once; nothing for a run of one snapshot.

    Raises UserError when another process still holds the run's directory after `patience` seconds.
    """
    directory = RunDirectory.of(run, machine.results)
    if directory.has_interpolation or run.snapshots == 1:
        return

    from snapshot_cli.training import hardware
    from snapshot_cli.training.interpolate import interpolate

    _device(machine)
    dataset, machine = _dataset(run, machine), replace(machine, workers=workers(machine))
    with _alone(directory, ALONE, patience=patience), hardware.kernels(deterministic=machine.deterministic):
        if RunDirectory.of(run, machine.results).has_interpolation:  # by now, of the process that held the lock
            return
        interpolate(run, dataset, directory, machine, stop=stop)


@contextmanager
def _alone(
    directory: RunDirectory, ranks: Ranks, note: Callable[[str], None] = lambda text: None, patience: float = 0.0
) -> Iterator[None]:
    """Hold the lock of a directory, without what killed processes left there; a full disk becomes a UserError.

    Only the first of several ranks holds it.
    """
    try:
        if not ranks.first:
            yield
            return
        with lock.hold(directory.path, note=note, patience=patience):
            _refuse_links(directory)
            remove_leftovers(directory.path)
            train_process.forget_failure(directory.path)
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


def workers(machine: Machine) -> int:
    """Return the number of decoder processes: `workers` if given, else a share of the processors."""
    shared = max(1, processors() // torchrun.on_this_host())
    return shared if machine.workers is None else machine.workers


def _device(machine: Machine) -> torch.device:
    """Set the number of threads if one is given, and return the device."""
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


def prepared(name: str, machine: Machine) -> store.Manifest:
    """Return the manifest of a dataset, after preparing it if a library has its images.

    Raises UserError if such a dataset was prepared by another version, which split its images in another way.
    """
    manifest, facts = store.read_manifest(machine.data, name), catalogue.facts(name)
    if manifest is None:
        return prepare.prepare(name, machine.data)
    needs_files = facts is None or facts.files or facts.streamed
    if facts and not needs_files and (manifest.train, manifest.test) != (facts.train, facts.test):
        raise UserError(
            f"{machine.data / name}: has {manifest.train:,} training and {manifest.test:,} test images, as an older "
            f"version split them, not {facts.train:,} and {facts.test:,}; type {how_to_prepare(name)} --replace"
        )
    return manifest


def check_ranks(run: Run, manifest: store.Manifest, ranks: Ranks) -> None:
    """Refuse more ranks than there are images for all of them in every batch and split."""
    examples = run.training_examples(manifest.train)
    fewest = min(_smallest_batch(run, manifest), examples, manifest.test)
    fewest = min(fewest, run.holdout) if run.holdout else fewest
    if fewest < ranks.count:
        raise ConfigError(
            f"{run.run_id}: {ranks.count} processes cannot share its smallest batch or split, which has "
            f"{fewest} image{'s' * (fewest > 1)}; start fewer, or choose another batch_size"
        )


def _smallest_batch(run: Run, manifest: store.Manifest) -> int:
    """Return the images of the last batch of an epoch."""
    return run.training_examples(manifest.train) % run.batch_size or run.batch_size
