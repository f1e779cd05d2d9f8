"""Estimate what runs take: steps, images, memory, disk and, from a few timed steps, time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from snapshot_cli.config import plan
from snapshot_cli.config.experiment import Run
from snapshot_cli.config.machine import Machine
from snapshot_cli.datasets import shared_memory, store
from snapshot_cli.datasets.catalogue import facts
from snapshot_cli.datasets.manifest import require

if TYPE_CHECKING:
    import torch

FLOAT = 4  # bytes
GREY = (127.5, 127.5, 127.5)


@dataclass(frozen=True)
class Needs:
    """What the runs of one network on one dataset take: sizes in bytes, and seconds for all runs in sequence."""

    run: Run
    """One of them."""
    runs: int
    images: int
    memory: int
    """For one run: weights, gradients, momentum, activations of a batch, and images."""
    disk: int
    """Of finished runs: snapshots and predictions."""
    resume: int
    """For one run in training: two checkpoints, one of which replaces the other."""
    seconds: float | None


def needs(
    runs: Sequence[Run], machine: Machine, *, steps: int, note: Callable[[str], None] = lambda text: None
) -> list[Needs]:
    """Return the needs of runs, grouped by network and dataset; with 0 steps nothing is timed and seconds are None."""
    groups: dict[tuple[object, ...], list[Run]] = {}
    for run in runs:
        network = (run.network, run.network_options, bool(run.dropout))
        key = (run.dataset, *network, run.batch_size, run.precision, run.train_size, run.holdout)
        groups.setdefault(key, []).append(run)
    for line in dict.fromkeys(filter(None, (_shared_memory_note(group[0], machine) for group in groups.values()))):
        note(line)
    return [_group_needs(group, machine, steps=steps, note=note) for group in groups.values()]


def _shared_memory_note(run: Run, machine: Machine) -> str | None:
    """Return a note if shared memory is too small for the batches of a streamed dataset, else None."""
    manifest, free = manifest_of(run.dataset, machine), shared_memory.free()
    if manifest.folder is None or free is None:
        return None
    workers = machine.decoders()
    needed = shared_memory.needed(run.batch_size, manifest.size, workers)
    if free >= needed:
        return None
    return (
        f"{run.dataset}: {workers} workers can need {needed / 1e6:,.0f} MB in {shared_memory.FOLDER} for batches of "
        f"{run.batch_size} images, {free / 1e6:,.0f} MB are free; give a container more (docker run --shm-size 8g), or "
        "train with fewer --workers"
    )


def _group_needs(group: Sequence[Run], machine: Machine, *, steps: int, note: Callable[[str], None]) -> Needs:
    import torch

    from snapshot_cli.training import hardware, measure, trial

    first, manifest = group[0], manifest_of(group[0].dataset, machine)
    examples, classes = first.training_examples(manifest.train), len(manifest.classes)
    total_steps = sum(run.snapshot_steps(examples)[-1] for run in group)
    device = torch.device("cuda") if machine.device == "cuda" else hardware.choose(machine.device)
    for line in trial.check(first, manifest, smallest=first.smallest_batch(manifest.train)):
        note(line)
    size = measure.size(first, classes=classes, image_size=manifest.size, device=device)
    snapshots = sum(run.snapshots for run in group)
    return Needs(
        run=first,
        runs=len(group),
        images=sum(plan.images(run, manifest.train) for run in group),
        memory=3 * FLOAT * size.parameters + size.activations + image_bytes(first, manifest),
        disk=snapshots * (size.weights + (manifest.test + first.holdout) * classes * FLOAT),
        resume=2 * (size.weights + FLOAT * size.parameters),
        seconds=total_steps * _seconds(first, manifest, machine, steps=steps, note=note) if steps else None,
    )


def _seconds(run: Run, manifest: store.Manifest, machine: Machine, *, steps: int, note: Callable[[str], None]) -> float:
    import torch

    from snapshot_cli.training import hardware, measure

    device = hardware.choose(machine.device)
    if machine.threads:
        torch.set_num_threads(machine.threads)
    seconds = measure.seconds_per_step(run, manifest, machine, steps=steps)
    speedup = seconds["float32"] / seconds["bfloat16"]
    note(
        f"{run.network} on {run.dataset}: {seconds[run.precision]:.4g} s per step, the median of {steps} on "
        f"{device.type}; bfloat16 is {speedup:.2g} times as fast as float32{_unit(device)}"
    )
    return seconds[run.precision]


def _unit(device: torch.device) -> str:
    from snapshot_cli.training.hardware import bfloat16_unit

    return "" if device.type != "cpu" else f" (the processor has {bfloat16_unit() or 'no unit for it'})"


def image_bytes(run: Run, manifest: store.Manifest) -> int:
    """Return the bytes of the images that a training keeps on the device, 0 if they are streamed."""
    if manifest.folder is not None:
        return 0
    return 3 * manifest.size**2 * (run.training_examples(manifest.train) + manifest.test + run.holdout)


def manifest_of(name: str, machine: Machine) -> store.Manifest:
    """Return the manifest of a dataset; if it is not prepared, one made from the catalogue."""
    manifest, published = store.read_manifest(machine.data, name), facts(name)
    if manifest is not None or published is None:
        return require(machine.data, name)
    classes = published.class_names or tuple(map(str, range(published.classes)))
    mean, std = published.mean or GREY, published.std or GREY
    return store.Manifest(
        name, published.source, classes, published.size, published.train, published.test, mean, std, published.padding,
        published.flip, "",
        folder="" if published.streamed else None,
    )  # fmt: skip
