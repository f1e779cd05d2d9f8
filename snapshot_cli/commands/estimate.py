"""snapshot estimate: the time, memory and disk that a file needs, without training it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from snapshot_cli.commands import options
from snapshot_cli.commands.sources import file_argument
from snapshot_cli.errors import ConfigError

if TYPE_CHECKING:
    from rich.table import Table

    from snapshot_cli.config.experiment import Experiment, Run
    from snapshot_cli.config.machine import Machine
    from snapshot_cli.config.study import Study
    from snapshot_cli.launch.estimate import Needs
    from snapshot_cli.reporting.figures.schedule import LRCurve


@click.command(short_help="Show the time, memory and disk that FILE needs.")
@file_argument
@options.set_option
@options.plugin_option
@options.machine_options(options.data_option, options.device_option, options.threads_option)
@click.option(
    "--steps",
    type=click.IntRange(0, 1000),
    default=5,
    show_default=True,
    metavar="N",
    help="Steps to time per network, on random images, after two warm-up steps; 0: no timing.",
)
@click.option(
    "-o", "output", type=options.FILE, metavar="FIGURE", help="Also draw the learning rate to this .svg, .png or .pdf."
)
def estimate(
    file: Path,
    sets: tuple[str, ...],
    machine: Machine,
    steps: int,
    output: Path | None,
) -> None:
    """Show the time, memory and disk that FILE needs; train nothing.

    Prints a row per network and dataset: runs, training images over all epochs, parameters, multiply-adds per image,
    memory, disk, and the time of all runs in sequence, extrapolated from a few steps. For an experiment it also draws
    the learning rate and lists the steps of the snapshots. Datasets need not be prepared.
    """
    from snapshot_cli.config import plan
    from snapshot_cli.launch import estimate as estimates

    if output is not None:
        options.check_drawable(output)
    loaded = options.load(file, sets, machine.data)
    if output is not None:
        click.echo(_draw(loaded, machine, output, file))
    runs = plan.runs(loaded)
    for line in _schedule(runs, machine):
        click.echo(line)
    needs = estimates.needs(runs, machine, steps=steps, note=lambda text: click.echo(text, err=True))
    options.show([_table(needs)])
    click.echo("images: over all epochs. memory: one run, without torch itself. disk: finished runs;")
    click.echo(f"the checkpoint of a run in training takes another {_size(max(need.resume for need in needs))}.")


def _schedule(runs: Sequence[Run], machine: Machine) -> list[str]:
    """Return the learning rate as lines of text and the steps of the snapshots; nothing if the runs differ in it."""
    from snapshot_cli.launch.estimate import manifest_of
    from snapshot_cli.reporting.lr_curve import plot_as_text

    whole = list(dict.fromkeys(run.model_copy(update={"cycle": None, "seed": 0}) for run in runs))
    if len(whole) > 1:
        return []
    examples = whole[0].training_examples(manifest_of(whole[0].dataset, machine).train)
    ends = whole[0].snapshot_steps(examples)
    return [
        *plot_as_text(whole[0], examples),
        f"snapshots after steps {', '.join(f'{end:,}' for end in ends)}",
    ]


def _table(needs: Sequence[Needs]) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("network", min_width=max(len(need.run.network) for need in needs) + 1)
    table.add_column("dataset", no_wrap=True)
    for heading in ("runs", "images", "memory", "disk", "time"):
        table.add_column(heading, justify="right", no_wrap=True)
    for need in needs:
        network = need.run.network + (", dropout" if need.run.dropout else "")
        row = network, need.run.dataset, str(need.runs), f"{need.images:,}", _size(need.memory)
        table.add_row(*row, *_disk_and_time([need]))
    if len(needs) > 1:
        runs, images = sum(need.runs for need in needs), sum(need.images for need in needs)
        table.add_section()
        table.add_row("total", "", str(runs), f"{images:,}", "", *_disk_and_time(needs))
    return table


def _disk_and_time(needs: Sequence[Needs]) -> tuple[str, str]:
    """Return the sums of disk and time as text; a dash for time that was not measured."""
    from snapshot_cli.words import duration

    times = [need.seconds for need in needs if need.seconds is not None]
    return _size(sum(need.disk for need in needs)), duration(sum(times)) if times else "-"


def _size(number: int) -> str:
    """Return a number of bytes as text, in MB or GB."""
    return f"{number / 1e9:,.1f} GB" if number >= 1e9 else f"{number / 1e6:,.1f} MB"


def _draw(loaded: Experiment | Study | Run, machine: Machine, output: Path, file: Path) -> Path:
    """Draw the learning rate of all methods of an experiment or study with one network and dataset."""
    from snapshot_cli.analysis import labels
    from snapshot_cli.config import plan
    from snapshot_cli.config.load import as_study
    from snapshot_cli.launch.estimate import manifest_of
    from snapshot_cli.reporting import save
    from snapshot_cli.reporting.figures.schedule import draw_curves, plan_curve
    from snapshot_cli.reporting.style import Heading, look, style

    experiments = as_study(loaded, file).experiments
    if len({(experiment.network, experiment.dataset) for experiment in experiments}) > 1:
        raise ConfigError(
            f"-o {output}: {file} has several networks or datasets; choose one with --set, or leave -o out"
        )
    first, names = experiments[0], labels.methods(experiments)
    available = manifest_of(first.dataset, machine).train
    curves: dict[Run, LRCurve] = {}
    for experiment in experiments:
        run = plan.cell(experiment).runs[0].model_copy(update={"cycle": None, "seed": 0, "dropout": 0.0})
        examples = experiment.training_examples(available)
        curves.setdefault(run, plan_curve(run, examples, label=names[experiment], look=look(experiment)))
    counts = {experiment.training_examples(available) for experiment in experiments}
    facts = (f"{counts.pop():,} training images",) if len(counts) == 1 else ()
    heading = Heading(labels.network(first.network), labels.dataset(first.dataset), facts=facts)
    with style():
        return save.save(draw_curves(list(curves.values()), heading), output)
