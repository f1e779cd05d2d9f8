"""snapshot config: every value of a file, what it means and where it comes from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from snapshot_cli.commands import options
from snapshot_cli.commands.sources import file_argument
from snapshot_cli.words import counted

if TYPE_CHECKING:
    from snapshot_cli.config.experiment import Experiment, Run


@click.group(short_help="Show every value of FILE and where it comes from.")
def config() -> None:
    """Show every value of a FILE and where it comes from."""


@config.command(short_help="Print every value of FILE, explained.")
@file_argument
@options.set_option
@options.data_option
def show(file: Path, sets: tuple[str, ...], data: Path) -> None:
    """Print every value of FILE: what it means, and where it comes from.

    The comment after a value says where it comes from: file and line, --set, or default; in a study also the section.
    The output is YAML with the same meaning as FILE.
    """
    from snapshot_cli.config import commented, load, plan
    from snapshot_cli.config.study import Study
    from snapshot_cli.datasets.manifest import training_examples

    loaded, origins = load.load_with_origins(file, sets, training_examples=training_examples(data))
    runs = plan.runs(loaded)
    if isinstance(loaded, Study):
        count = len(loaded.experiments)
        text = commented.study(loaded, origins, [f"Derived: {count} experiments, {len(runs)} distinct runs."])
    else:
        text = commented.recipe(loaded, origins[0], _replacements(loaded, data), _schedule(loaded, runs, data))
    click.echo(text, nl=False)


def _replacements(values: Experiment | Run, data: Path) -> dict[str, str]:
    """Return in words what is used where a value is null, by key."""
    from snapshot_cli.datasets.catalogue import facts
    from snapshot_cli.datasets.manifest import crop_border, read_manifest

    words = {"train_size": counted(_images(values, data), "image")}
    dataset = read_manifest(data, values.dataset) or facts(values.dataset)
    if dataset is not None:
        words |= {"padding": str(crop_border(dataset)), "flip": str(dataset.flip).lower()}
        words |= {"lighting": f"{dataset.lighting:g}"}
    return {key: text for key, text in words.items() if getattr(values, key) is None}


def _schedule(values: Experiment | Run, runs: Sequence[Run], data: Path) -> list[str]:
    """Return in words what follows from the values: runs, steps and snapshots."""
    from snapshot_cli.config.experiment import steps_per_epoch

    run, images = runs[0], _images(values, data)
    ends = ", ".join(f"{step:,}" for step in run.snapshot_steps(images))
    per_epoch = steps_per_epoch(images, run.batch_size)
    listed = f"{len(runs)} runs; the first:" if len(runs) > 1 else "1 run:"
    return [
        f"Derived: {listed} {run.run_id}, {per_epoch:,} steps per epoch; "
        f"snapshot{'s' * (run.snapshots > 1)} after step{'s' * (run.snapshots > 1)} {ends}."
    ]


def _images(values: Experiment | Run, data: Path) -> int:
    from snapshot_cli.datasets.manifest import training_examples

    return values.training_examples(training_examples(data)[values.dataset])
