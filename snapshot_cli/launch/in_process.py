"""Train a run in this process: one idempotent call that starts, resumes or skips it."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from snapshot_cli import lock
from snapshot_cli.config import weights_file
from snapshot_cli.config.experiment import Run
from snapshot_cli.config.machine import Machine
from snapshot_cli.datasets import catalogue, prepare, store
from snapshot_cli.datasets.catalogue import how_to_prepare
from snapshot_cli.errors import ConfigError, UserError
from snapshot_cli.files import remove_leftovers
from snapshot_cli.launch import failure, resume, torchrun
from snapshot_cli.networks.names import is_external
from snapshot_cli.run_directory import RunDirectory
from snapshot_cli.training.ranks import ALONE, Ranks, join
from snapshot_cli.words import counted

if TYPE_CHECKING:
    import torch

    from snapshot_cli.training.loop import Callback

DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
DECODER_DIED = "DataLoader worker"  # the start of torch's message
CPU_MEMORY = "can't allocate memory"  # in torch's message, whose class is RuntimeError on a CPU


def train(
    run: Run,
    machine: Machine,
    *,
    callback: Callback,
    stop: Callable[[], bool] = lambda: False,
    note: Callable[[str], None] = lambda text: None,
    announce: Callable[[str], None] = lambda text: None,
    lock_timeout: float = 0.0,
) -> RunDirectory:
    """Train or resume a run and return its directory; a finished run is only checked against its dataset.

    `note` is called with remarks for the user, `announce` with "training" or "already trained" after all checks.
    Under torchrun, all ranks train the run together; rank 0 reads and writes its files.

    Raises UserError if another process still holds the run's directory after `lock_timeout` seconds, or if the disk is
    full, which loses nothing that was saved.
    """
    ranks = join(machine.device)
    with ranks.first_goes_first():
        manifest = ensure_prepared(run.dataset, machine)
    directory = RunDirectory.of(run, machine.results)
    if ranks.broadcast(resume.is_finished(run, directory, manifest.content_hash)):
        announce("already trained")
        return directory

    from snapshot_cli.training import compiled, hardware, initial_weights, loop

    device, dataset = _set_up_device(machine), _verified_dataset(run, machine)
    if machine.compile and not compiled.has_compiler():
        note("--compile: no C++ compiler here, so the network is not compiled; install g++")
        machine = replace(machine, compile=False)
    machine = _with_decoders(machine)
    check_ranks(run, manifest, ranks)
    start, remarks = check_network(run, manifest, machine, note, ranks), list[str]()
    with _locked(directory, ranks, note, lock_timeout), hardware.kernels(deterministic=machine.deterministic):
        if ranks.first:
            environment = hardware.describe(device, run.network)
            environment |= {"compile": machine.compile, "ranks": ranks.count, "dataset_hash": manifest.content_hash}
            resume.start_or_resume(run, directory, environment, machine, remarks.append)
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
    """Prepare the datasets of runs and check all runs, before the first of them is trained.

    Runs with equal networks, datasets and smallest batches are checked once. Raises ConfigError or UserError.
    """
    ranks, distinct = join(machine.device), dict[tuple[object, ...], Run]()
    with ranks.first_goes_first():
        manifests = {name: ensure_prepared(name, machine) for name in dict.fromkeys(run.dataset for run in runs)}
    for run in runs:
        check_ranks(run, manifests[run.dataset], ranks)
        network = (run.network, run.network_options, run.dropout, run.initial_weights)
        distinct.setdefault((*network, run.dataset, run.smallest_batch(manifests[run.dataset].train)), run)
    for run in distinct.values():
        check_network(run, manifests[run.dataset], machine, note, ranks)


def check_network(
    run: Run, manifest: store.Manifest, machine: Machine, note: Callable[[str], None], ranks: Ranks = ALONE
) -> bytes | None:
    """Check a run's network on a few images before anything is written; return its file of initial weights, if any.

    Raises UserError for a network that cannot be trained on these images, and for weights that do not fit it.
    """
    directory, smallest = RunDirectory.of(run, machine.results), run.smallest_batch(manifest.train) // ranks.count
    started = directory.status == "done" or directory.resume_path.exists()
    if not is_external(run.network) and smallest > 1 and (started or run.initial_weights is None):
        return None

    from snapshot_cli.training import trial

    for line in trial.check(run, manifest, smallest=smallest, ranks=ranks.count):
        note(line)
    if started or run.initial_weights is None:
        return None
    content = weights_file.content(run.initial_weights, machine.results)
    path = weights_file.path(run.initial_weights, machine.results)
    note(f"{run.network} starts from {path}: {trial.check_start(run, manifest, content, path)}")
    return content


def precision_warning(runs: Sequence[Run], machine: Machine) -> str | None:
    """Return a warning if a run uses bfloat16 and it is slow on this machine, else None."""
    if all(run.precision == "float32" for run in runs):
        return None

    from snapshot_cli.training import hardware

    return hardware.bfloat16_warning(hardware.choose(machine.device))


def interpolate(
    run: Run, machine: Machine, *, stop: Callable[[], bool] = lambda: False, lock_timeout: float = 0.0
) -> None:
    """Store the errors between the snapshots of a finished run, once; nothing for a run of one snapshot.

    Raises UserError if another process still holds the run's directory after `lock_timeout` seconds.
    """
    directory = RunDirectory.of(run, machine.results)
    if directory.has_interpolation or run.snapshots == 1:
        return

    from snapshot_cli.training import hardware
    from snapshot_cli.training.interpolate import interpolate

    _set_up_device(machine)
    dataset, machine = _verified_dataset(run, machine), _with_decoders(machine)
    with _locked(directory, ALONE, timeout=lock_timeout), hardware.kernels(deterministic=machine.deterministic):
        if RunDirectory.of(run, machine.results).has_interpolation:  # written by the process that held the lock
            return
        interpolate(run, dataset, directory, machine, stop=stop)


@contextmanager
def _locked(
    directory: RunDirectory, ranks: Ranks, note: Callable[[str], None] = lambda text: None, timeout: float = 0.0
) -> Iterator[None]:
    """Lock a run directory on rank 0 and delete what killed processes left there, while the context lasts.

    A full disk, a dead decoder and a lack of memory become a UserError.
    """
    try:
        if not ranks.first:
            yield
            return
        with lock.hold(directory.path, note=note, timeout=timeout):
            _refuse_links(directory)
            remove_leftovers(directory.path)
            failure.clear(directory.path)
            yield
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        where = error.filename or directory.path
        raise UserError(f"{where}: {error.strerror}; make room, then type the same command to resume") from error
    except (RuntimeError, MemoryError) as error:
        if _is_out_of_memory(error):
            raise UserError(
                f"{directory.path}: out of memory; choose a smaller batch_size, or train fewer runs at a time "
                "(snapshot estimate shows the memory of a run)"
            ) from error
        if not str(error).startswith(DECODER_DIED):
            raise
        raise UserError(
            f"{directory.path}: a process that decodes images has died ({str(error).splitlines()[0].rstrip('. ')}); "
            "if memory was short, use fewer --workers; type the same command to resume from the last checkpoint"
        ) from error


def _is_out_of_memory(error: Exception) -> bool:
    names = {kind.__name__ for kind in type(error).__mro__}
    return bool(names & {"OutOfMemoryError", "MemoryError"}) or CPU_MEMORY in str(error)


def _refuse_links(directory: RunDirectory) -> None:
    """Raise UserError for a folder of a run that is a link: a run writes only below its directory."""
    for name in ("snapshots", "predictions"):
        if (directory.path / name).is_symlink():
            raise UserError(f"{directory.path / name}: a link; replace it by the folder that it leads to")


def _with_decoders(machine: Machine) -> Machine:
    return replace(machine, workers=machine.decoders(torchrun.local_world_size()))


def _set_up_device(machine: Machine) -> torch.device:
    """Set the number of threads, if given, and return the device."""
    import torch

    from snapshot_cli.training import hardware

    device = hardware.choose(machine.device)
    if machine.threads:
        torch.set_num_threads(machine.threads)
    return device


def _verified_dataset(run: Run, machine: Machine) -> store.Dataset:
    """Return the dataset of a run after comparing every byte with its manifest."""
    store.verify(machine.data, run.dataset)
    return store.load(machine.data, run.dataset)


def ensure_prepared(name: str, machine: Machine) -> store.Manifest:
    """Return the manifest of a dataset; prepare it first if a library ships its images.

    Raises UserError if such a dataset was prepared by an older version, which split its images differently.
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
    """Raise ConfigError if some rank would get no image of the smallest batch or split."""
    examples = run.training_examples(manifest.train)
    fewest = min(run.smallest_batch(manifest.train), examples, manifest.test)
    fewest = min(fewest, run.holdout) if run.holdout else fewest
    if fewest < ranks.count:
        raise ConfigError(
            f"{run.run_id}: {ranks.count} processes cannot share its smallest batch or split, which has "
            f"{counted(fewest, 'image')}; start fewer, or choose another batch_size"
        )
