"""snapshot estimate: what a file will take, before it is trained."""

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
    from snapshot_cli.reporting.rate_curve import RateCurve


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
    help="Iterations to time for every network, on noise, after two that are not counted; 0: no time is given.",
)
@click.option(
    "-o", "output", type=options.FILE, metavar="FIGURE", help="Draw the learning rate: a name in .svg, .png or .pdf."
)
def estimate(
    file: Path,
    sets: tuple[str, ...],
    machine: Machine,
    steps: int,
    output: Path | None,
) -> None:
    """Say what a file will take, and train nothing.

    For an experiment: the rate as a curve and the iterations of the snapshots. For every network: runs, images to
    train on, parameters, multiply-adds of one image, memory and disk, and the time of all runs one after another, from
    a few measured iterations. A dataset need not be prepared.
    """
    from snapshot_cli.config import plan
    from snapshot_cli.launch import estimate as estimates

    if output is not None:
        options.check_drawable(output)
    asked = options.load(file, sets, machine.data)
    if output is not None:
        click.echo(_draw(asked, machine, output, file))
    runs = plan.runs(asked)
    for line in _schedule(runs, machine):
        click.echo(line)
    found = estimates.needs(runs, machine, steps=steps, note=lambda text: click.echo(text, err=True))
    options.show([_table(found)])
    click.echo("memory: of one run; the libraries' own comes on top. disk: what stays; more while it is trained:")
    click.echo(f"{max(need.resume for need in found) / 1e6:,.1f} MB for the state of a run to go on from.")


def _schedule(runs: Sequence[Run], machine: Machine) -> list[str]:
    """Return the lines of the one schedule that all runs share; none where they have several."""
    from snapshot_cli.launch.estimate import manifest_of
    from snapshot_cli.reporting.rate_curve import in_characters

    whole = list(dict.fromkeys(run.model_copy(update={"cycle": None, "seed": 0}) for run in runs))
    if len(whole) > 1:
        return []
    examples = whole[0].training_examples(manifest_of(whole[0].dataset, machine).train)
    ends = whole[0].snapshot_iterations(examples)
    return [
        *in_characters(whole[0], examples),
        f"snapshots after iterations {', '.join(f'{end:,}' for end in ends)}",
    ]


def _table(found: Sequence[Needs]) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD)
    for heading in ("network", "dataset", "runs", "images", "parameters", "multiply-adds", "memory", "disk", "time"):
        table.add_column(heading, justify="left" if heading in ("network", "dataset") else "right")
    for need in found:
        own = (f"{need.parameters:,}", f"{need.multiply_adds / 1e6:,.1f} M", f"{need.memory / 1e6:,.0f} MB")
        network = need.run.network + (", dropout" if need.run.dropout else "")
        table.add_row(network, need.run.dataset, str(need.runs), f"{need.images:,}", *own, *_sums([need]))
    if len(found) > 1:
        runs, images = sum(need.runs for need in found), sum(need.images for need in found)
        table.add_section()
        table.add_row("in all", "", str(runs), f"{images:,}", "", "", "", *_sums(found))
    return table


def _sums(found: Sequence[Needs]) -> tuple[str, str]:
    """Return disk and time in words; a dash for time that was not measured."""
    from snapshot_cli.durations import duration

    times = [need.seconds for need in found if need.seconds is not None]
    return f"{sum(need.disk for need in found) / 1e6:,.1f} MB", duration(sum(times)) if times else "-"


def _draw(asked: Experiment | Study | Run, machine: Machine, output: Path, file: Path) -> Path:
    """Draw the rate of every method of an experiment or study of one network on one dataset."""
    from snapshot_cli.config import plan
    from snapshot_cli.launch.estimate import manifest_of
    from snapshot_cli.reporting import labels, save
    from snapshot_cli.reporting.rate_curve import draw_curves, planned
    from snapshot_cli.reporting.style import Heading, look

    experiments = options.as_study(asked, file).experiments
    if len({(each.network, each.dataset) for each in experiments}) > 1:
        raise ConfigError(
            f"-o {output}: {file} has several networks or datasets; choose one with --set, or leave -o out"
        )
    examples = experiments[0].training_examples(manifest_of(experiments[0].dataset, machine).train)
    curves: dict[Run, RateCurve] = {}
    for each in experiments:
        run = plan.cell(each).runs[0].model_copy(update={"cycle": None, "seed": 0, "dropout": 0.0})
        curves.setdefault(run, planned(run, examples, label=plan.label(each), look=look(each)))
    first = experiments[0]
    facts = (f"{examples:,} training images",)
    heading = Heading(labels.network(first.network), labels.dataset(first.dataset), facts=facts)
    return save.save(draw_curves(list(curves.values()), heading), output)[0]
