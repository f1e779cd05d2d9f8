"""snapshot plot: one figure at a time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from snapshot_cli.commands import options
from snapshot_cli.commands.sources import sources_argument
from snapshot_cli.config import kinds
from snapshot_cli.config.shipped import results_folder
from snapshot_cli.errors import ConfigError, UserError, command

if TYPE_CHECKING:
    from snapshot_cli.analysis.outcomes import Outcome

KINDS = kinds.figures()


@click.command(
    short_help="Draw one figure from finished runs.",
    help=f"""Draw one figure from finished runs.

    KIND is {", ".join(KINDS[:-1])} or {KINDS[-1]}. Give the FILE that was trained, or run directories, each
    drawn as a separate method.
    """,
)
@click.argument("kind", type=click.Choice(KINDS), metavar="KIND")
@sources_argument
@options.set_option
@options.data_option
@options.results_option
@click.option(
    "-o", "output", type=options.FILE, required=True, metavar="FIGURE", help="Output file, .svg, .png or .pdf."
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
    """Draw one figure and print its file."""
    from snapshot_cli.reporting import report, save
    from snapshot_cli.reporting.drawn import Picture, Request

    options.check_drawable(output)
    outcomes = _of_runs(directories) if file is None else _of_file(file, sets, data, results)
    source = str(file or directories[0])
    if kind == "ensemble-size" and all(outcome.experiment.method == "single" for outcome in outcomes):
        raise ConfigError(f"{source}: has single models alone; expected a method with an ensemble")
    _check_one(kind, outcomes, source, from_file=file is not None)
    drawn = [
        one
        for one in report.drawing_module(kind).draw(outcomes, Request(output.stem, source))
        if isinstance(one, Picture)
    ]
    if not drawn:
        train = options.train_command(file, sets, results) if file else options.train_command(directories[0])
        raise UserError(_nothing(kind, outcomes, file, directories, train))
    click.echo(save.save(drawn[0].figure, output))


def _check_one(kind: str, outcomes: Sequence[Outcome], source: str, *, from_file: bool) -> None:
    """Raise ConfigError where one figure of a kind cannot show all that was given."""
    from snapshot_cli.reporting import report

    fields = getattr(report.drawing_module(kind), "PER", ())
    if len({tuple(getattr(outcome.experiment, name) for name in fields) for outcome in outcomes}) > 1:
        several = " or ".join(f"{name}s" for name in fields)
        hint = f"{command('report', Path(source))} draws a figure for each" if from_file else "give runs of one of them"
        raise ConfigError(f"{source}: has several {several}; {hint}")


def _of_runs(directories: tuple[Path, ...]) -> list[Outcome]:
    from snapshot_cli.analysis import outcomes
    from snapshot_cli.run_directory import RunDirectory

    return outcomes.score_runs([RunDirectory(path) for path in directories])


def _of_file(file: Path, sets: tuple[str, ...], data: Path, results: Path | None) -> list[Outcome]:
    from snapshot_cli.commands.evaluate import collect
    from snapshot_cli.config.load import as_study

    folder = results_folder(file, results)
    study = as_study(options.load(file, sets, data, folder), file)
    return collect(study, file, folder, data)


def _nothing(kind: str, outcomes: Sequence[Outcome], file: Path | None, directories: Sequence[Path], train: str) -> str:
    """Say why there is nothing to draw, and what to type."""
    from snapshot_cli.reporting import report

    several = [outcome for outcome in outcomes if outcome.run and outcome.members > 1]
    train = f"type {train}{' --interpolate' * (kind == 'interpolation')}"
    needs = report.needs(kind)
    if kind == "interpolation" and several:
        return f"{file or directories[0]}: no errors between snapshots are stored; {train}"
    if file is None:
        return f"{directories[0]}: nothing to draw as {kind}, which needs {needs}; give the runs' study instead"
    if not any(outcome.scores for outcome in outcomes):
        return f"{file}: nothing is finished; {train}"
    if not all(outcome.is_complete for outcome in outcomes):
        return f"{file}: what is finished has nothing to draw as {kind}; {train}"
    return f"{file}: has nothing to draw as {kind}, which needs {needs}; take another KIND"
