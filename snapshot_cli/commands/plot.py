"""snapshot plot: one figure at a time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from snapshot_cli.commands import options
from snapshot_cli.errors import ConfigError, UserError

if TYPE_CHECKING:
    from snapshot_cli.reporting.entries import Entry

KINDS = (
    "ensemble-size", "schedule", "loss", "interpolation", "interpolation-final", "correlation", "over-time", "budget",
    "calibration", "cost",
)  # fmt: skip
BY_PAIR = ("schedule", "loss", "calibration", "cost")  # of which a figure shows one network on one dataset


@click.command(short_help="Draw one figure from finished runs.")
@click.argument("kind", type=click.Choice(KINDS), metavar="KIND")
@click.argument("directories", nargs=-1, type=options.FILE, metavar="[RUN_DIR]...")
@click.option("--config", "file", type=options.CONFIG, metavar="FILE", help="Experiment or study whose runs to draw.")
@options.set_option
@options.data_option
@options.results_option
@click.option(
    "-o", "output", type=options.FILE, required=True, metavar="FILE", help="Where to draw: .svg, .png or .pdf."
)
def plot(
    kind: str,
    directories: tuple[Path, ...],
    file: Path | None,
    sets: tuple[str, ...],
    data: Path,
    results: Path | None,
    output: Path,
) -> None:
    """Draw one figure from finished runs.

    KIND is ensemble-size, schedule, loss, interpolation (batch-norm statistics re-estimated at every point; with those
    of the last snapshot: interpolation-final), correlation, over-time, budget, calibration or cost. Give the FILE that
    was trained, or run directories, each a method of its own.
    """
    from snapshot_cli.reporting import figures, report
    from snapshot_cli.reporting.drawn import Picture, Request

    options.check_drawable(output)
    options.check_source("plot", file, directories)
    entries = _of_runs(directories, data) if file is None else _of_file(file, sets, data, results)
    source = str(file or directories[0])
    if kind == "ensemble-size" and all(each.experiment.method == "single" for each in entries):
        raise ConfigError(f"{source}: has single models alone; expected a method with an ensemble")
    fields = {"ensemble-size": ("network",)} | dict.fromkeys(BY_PAIR, ("network", "dataset"))
    if len({tuple(getattr(each.experiment, name) for name in fields.get(kind, ())) for each in entries}) > 1:
        what = "several networks" if kind == "ensemble-size" else "several networks or datasets"
        way_out = f"snapshot report {source} draws a figure for each" if file else "give runs of one of them"
        raise ConfigError(f"{source}: has {what}; {way_out}")
    drawn = [each for each in report.KINDS[kind](entries, Request(output.stem, source)) if isinstance(each, Picture)]
    if not drawn:
        raise UserError(_nothing(kind, entries, file, options.repeated(sets, results) if file else ""))
    click.echo(figures.save(drawn[0].figure, output)[0])


def _of_runs(directories: tuple[Path, ...], data: Path) -> list[Entry]:
    from snapshot_cli.commands.evaluate import dataset_hashes
    from snapshot_cli.reporting import entries
    from snapshot_cli.run_directory import RunDirectory

    return entries.of_runs([RunDirectory(path) for path in directories], dataset_hashes(data))


def _of_file(file: Path, sets: tuple[str, ...], data: Path, results: Path | None) -> list[Entry]:
    from snapshot_cli.commands.evaluate import dataset_hashes
    from snapshot_cli.reporting import entries

    study = options.as_study(options.load(file, sets, data), file)
    return entries.collect(study, options.results_folder(file, results), dataset_hashes(data))


def _nothing(kind: str, entries: list[Entry], file: Path | None, again: str) -> str:
    """Say why there is nothing to draw, and what to type."""
    lines = [each.directories[0] for each in entries if len(each.directories) == 1 and len(each.scored[0].members) > 1]
    between = kind.startswith("interpolation")
    trained = file or (lines[0].path / "config.yaml" if lines else None)
    train = f"type snapshot train --config {trained}{again}{' --interpolate' * between}"
    if between and lines:
        return f"{file or lines[0].path}: no errors between snapshots are stored; {train}"
    if file is None:
        return f"these runs have nothing to draw as {kind}; give their study with --config"
    if not any(each.scored for each in entries):
        return f"{file}: nothing is trained to its end; {train}"
    if any(each.missing for each in entries):
        return f"{file}: what is trained to its end has nothing to draw as {kind}; {train}"
    return f"{file}: has nothing to draw as {kind}; take another KIND"
