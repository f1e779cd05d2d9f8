"""snapshot plot: one figure at a time."""

from __future__ import annotations

from pathlib import Path

import click

from snapshot_cli.commands import options
from snapshot_cli.errors import ConfigError, UserError


@click.group()
def plot() -> None:
    """Draw one figure from finished runs."""


@plot.command("ensemble-size", short_help="Draw error against ensemble size.")
@options.config_option
@options.set_option
@options.data_option
@options.results_option
@click.option(
    "-o", "output", type=options.FILE, required=True, metavar="FILE", help="Where to draw: .svg, .png or .pdf."
)
def ensemble_size(file: Path, sets: tuple[str, ...], data: Path, results: Path | None, output: Path) -> None:
    """Draw error against ensemble size m = 1..M, the last m members."""
    from snapshot_cli.commands.evaluate import dataset_hashes
    from snapshot_cli.reporting import figures, report

    if output.suffix.removeprefix(".") not in figures.FORMATS:
        raise ConfigError(f"-o {output}: expected a name that ends in .svg, .png or .pdf")
    study = options.as_study(options.load(file, sets, data), file)
    entries = report.collect(study, options.results_folder(file, results), dataset_hashes(data))
    if len({(each.experiment.network, each.experiment.dataset) for each in entries}) > 1:
        raise ConfigError(f"{file}: has several networks or datasets; snapshot report {file} draws a figure for each")
    if all(each.experiment.method == "single" for each in entries):
        raise ConfigError(f"{file}: has single models alone; expected a method with an ensemble")
    paths = report.ensemble_size(entries, output)
    if not paths:
        again = options.repeated(sets, results)
        raise UserError(f"{file}: no ensemble is trained to its end; type snapshot train --config {file}{again}")
    click.echo(paths[0])
