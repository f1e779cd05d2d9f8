"""snapshot reproduce and snapshot report: the tables and figures of studies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from snapshot_cli.commands import completion, options
from snapshot_cli.config.shipped import results_folder
from snapshot_cli.errors import ConfigError, UserError, arguments, as_argument, command
from snapshot_cli.words import counted

if TYPE_CHECKING:
    from snapshot_cli.config.experiment import Run
    from snapshot_cli.config.machine import Machine
    from snapshot_cli.config.study import Study
    from snapshot_cli.launch.engine import Engine
    from snapshot_cli.launch.failure import Failure
    from snapshot_cli.reporting.report import Sheet

studies_argument = click.argument(
    "names", metavar="STUDY...", nargs=-1, required=True, shell_complete=completion.studies
)


@dataclass(frozen=True)
class NamedStudy:
    """A study, its file, and the name that a person gave for it."""

    name: str
    file: Path
    study: Study


@click.command(short_help="Train the missing runs of studies, then draw them.")
@studies_argument
@options.set_option
@options.plugin_option
@options.training_options
@options.engine_options
@click.option("--shard", metavar="I/N", help="Train only the I-th of N shares of equal cost; draw nothing.")
@click.option("--dry-run", is_flag=True, help="List the runs and their status; train nothing.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "commands"]),
    default="table",
    show_default=True,
    help="Output of --dry-run: a table of runs, or a shell command for every missing run.",
)
def reproduce(
    names: tuple[str, ...],
    sets: tuple[str, ...],
    machine: Machine,
    results: Path | None,
    engine: Engine,
    shard: str | None,
    dry_run: bool,
    form: str,
) -> None:
    """Train the missing runs of studies, then draw their tables and figures.

    STUDY is a YAML file or the name of one that comes with the program: table1 in the paper's size, small/table1 for a
    CPU, demo/table1 for two minutes. Runs that several studies share are trained once.
    """
    from snapshot_cli.analysis import scoring
    from snapshot_cli.commands import trainings
    from snapshot_cli.config import plan

    if form == "commands" and not dry_run:
        raise ConfigError("--format commands: goes with --dry-run")
    named, folder = studies(names, sets, machine.data, results)
    machine = replace(machine, results=folder)
    sources: dict[Run, list[str]] = {}
    for one in named:
        for run in plan.runs(one.study):
            sources.setdefault(run, [as_argument(one.file), *(word for value in sets for word in ("--set", value))])
    runs = list(sources) if shard is None else trainings.share(list(sources), shard, machine.data)
    drawn_lines = {run for one in named for run in trainings.to_interpolate(one.study, folder)}
    lines = [run for run in runs if run in drawn_lines]
    needed = {run for one in named for run in scoring.runs_to_train(one.study, folder)}
    needed |= set(scoring.unfinished(lines, folder))
    missing = [run for run in runs if run in needed]
    if dry_run and form == "commands":
        trainings.print_commands(runs, missing, machine, sources, lines)
        return
    if dry_run:
        trainings.show(runs, missing, machine, lines=len(lines))
        return
    click.echo(_headline(named, len(runs), len(missing), shard), err=True)
    failures = trainings.train(missing, machine, sources, engine=engine, names=names) if missing else []
    unfinished = set(scoring.unfinished(lines, folder))
    finished = [run for run in lines if run not in unfinished]
    failures += trainings.interpolate(finished, machine, sources, engine=engine) if finished else []
    given = options.repeated(sets, results)
    with _reported(failures, len({*missing, *finished})):
        if shard is None:
            sheets, paths = _draw(named, folder, machine.data, given, force=False)
            _show(sheets, paths, names, folder, given)
        else:
            click.echo(f"to draw what is finished: {command('report', *map(Path, names))}{given}", err=True)


@click.command(short_help="Redraw tables, figures and page from finished runs.")
@studies_argument
@options.set_option
@options.data_option
@options.results_option
@click.option("--force", is_flag=True, help="Also replace files that show more finished runs than there are now.")
def report(names: tuple[str, ...], sets: tuple[str, ...], data: Path, results: Path | None, force: bool) -> None:
    """Redraw the tables and figures of studies from the scores of finished runs.

    Unfinished cells show a dash and a footnote. report.html in the same folder has all studies of one size.
    """
    named, folder = studies(names, sets, data, results, finished=True)
    _, paths = _draw(named, folder, data, options.repeated(sets, results), force=force)
    for path in paths:
        click.echo(path)


def studies(
    names: Sequence[str], sets: tuple[str, ...], data: Path, results: Path | None, *, finished: bool = False
) -> tuple[list[NamedStudy], Path]:
    """Return the studies with some names, and their common folder of results; ConfigError if they have several.

    With `finished`, datasets that have runs or scores there need not be prepared.
    """
    from snapshot_cli.config.shipped import study_path
    from snapshot_cli.config.study import Study

    named = []
    for name in dict.fromkeys(names):
        file = study_path(name)
        loaded = options.load(file, sets, data, results_folder(file, results) if finished else None)
        if not isinstance(loaded, Study):
            raise ConfigError(
                f"{file}: expected a study (title, methods, ...), given one experiment; "
                f"{options.train_command(file, sets, results)} trains it, snapshot eval, compare and plot show it"
            )
        named.append(NamedStudy(name, file, loaded))
    folders = list(dict.fromkeys(results_folder(one.file, results) for one in named))
    if len(folders) > 1:
        raise ConfigError(
            f"{named[0].name} has its results in {folders[0]}, others in {folders[1]}; give studies of one size, "
            f"or --results-dir"
        )
    return named, folders[0]


def _headline(named: Sequence[NamedStudy], runs: int, missing: int, shard: str | None) -> str:
    """Return what will be trained, in one line."""
    title = named[0].study.title if len(named) == 1 else f"{len(named)} studies"
    title += f", shard {shard}" if shard else ""
    if runs == 0:
        return f"{title}: no run in it, there are more shards than runs"
    if missing == 0:
        return f"{title}: {'the only run' if runs == 1 else f'all {runs} runs'} finished before, nothing to train"
    return f"{title}: {counted(runs, 'run')}, {runs - missing} finished, {missing} to train"


@contextmanager
def _reported(failures: Sequence[Failure], runs: int) -> Iterator[None]:
    """Raise UserError for failed runs once the body is done, together with a UserError that the body raises."""
    from snapshot_cli.launch.failure import describe

    lines = [f"{len(failures)} of {runs} runs failed:", *describe(failures)]
    try:
        yield
    except UserError as error:
        if not failures:
            raise
        lines.append(str(error))
    if failures:
        raise UserError("\n".join(lines))


def _show(sheets: Sequence[Sheet], paths: Sequence[Path], names: Sequence[str], results: Path, given: str) -> None:
    """Print the errors of the studies, the claims that they decide, the path of the page, and what to type next."""
    from snapshot_cli.reporting.summary import summary

    for sheet in sheets:
        options.show(summary(sheet.study, sheet.outcomes))
    studies_given = arguments(*map(Path, names)) + given
    click.echo(f"All tables and figures ({len(paths)} files): open {results / 'report.html'} in a browser")
    steps = {
        f"snapshot compare {studies_given}": "compare the methods pair by pair",
        "snapshot init": "write an experiment file of your own",
    }
    width = max(map(len, steps))
    click.echo("\n".join(["Next:", *(f"  {typed:{width}}  {meaning}" for typed, meaning in steps.items())]))


def _draw(
    named: Sequence[NamedStudy], results: Path, data: Path, given: str, *, force: bool
) -> tuple[list[Sheet], list[Path]]:
    """Write the tables and figures of the studies and the page of their size; return the drawn studies and the files.

    Raises UserError, with what to type, if nothing is finished.
    """
    from snapshot_cli.commands.evaluate import dataset_hashes
    from snapshot_cli.reporting import rendering, report

    hashes = dataset_hashes(data)
    sheets = {
        one.file.resolve(): report.draw(one.study, results, hashes, argument=arguments(Path(one.name)) + given)
        for one in named
    }
    if not any(sheet.cells for sheet in sheets.values()):
        names = arguments(*(Path(one.name) for one in named))
        raise UserError(f"{names}: nothing is finished in {results}; type snapshot reproduce {names}{given}")
    others = _others(named[0].file, list(sheets), results, hashes, data)
    rendering.render((sheet.drawn, results if path in sheets else None) for path, sheet in (sheets | others).items())
    drawn_sheets, written = list(sheets.values()), []
    for sheet in drawn_sheets:
        if not sheet.drawn:
            click.echo(_nothing_drawn(sheet), err=True)
        elif sheet.empty and all(outcome.is_complete for outcome in sheet.outcomes):
            click.echo(f"not drawn: {'; '.join(sheet.empty)}", err=True)
        written.append(report.write(sheet.drawn, results, force=force))
    sheets |= others
    page = f"{results.name} results" if _siblings(named[0].file) else ", ".join(one.study.title for one in named)
    title = f"Snapshot ensembles: {page}"
    in_order = [sheets[path] for path in sorted(sheets, key=_tables_first)]
    written.append(report.write_page(in_order, results, title=title, force=force))
    kept = [stem for files in written for stem in files.kept]
    if kept:
        click.echo(
            f"not redrawn, as they show more finished runs than there are now: {', '.join(kept)}; "
            "snapshot report --force replaces them",
            err=True,
        )
    return drawn_sheets, [path for files in written for path in files.paths]


def _nothing_drawn(sheet: Sheet) -> str:
    """Say why a study draws nothing, and what to type if there is something to train."""
    if all(outcome.is_complete for outcome in sheet.outcomes):
        return f"{sheet.argument}: nothing to draw: {'; '.join(sheet.empty)}"
    what = "nothing that it draws" if sheet.cells else "nothing"
    return f"{sheet.argument}: {what} is finished; type snapshot reproduce {sheet.argument}"


def _others(
    file: Path, drawn: Sequence[Path], results: Path, hashes: Mapping[str, str], data: Path
) -> dict[Path, Sheet]:
    """Return the drawn other studies of the same size as a shipped one, for the page."""
    from snapshot_cli.config.shipped import bare_name
    from snapshot_cli.config.study import Study
    from snapshot_cli.reporting import report

    sheets: dict[Path, Sheet] = {}
    for sibling in (path for path in _siblings(file) if path.resolve() not in drawn):
        name = bare_name(sibling) or arguments(sibling)
        try:
            study = options.load(sibling, (), data, results)
            if isinstance(study, Study):
                sheets[sibling.resolve()] = report.draw(study, results, hashes, argument=name)
        except UserError as error:
            click.echo(f"{name} is not on the page: {error}", err=True)
    return sheets


def _siblings(file: Path) -> list[Path]:
    """Return the files of all studies of the same size as a shipped one; none for a file elsewhere."""
    from snapshot_cli.config.shipped import bare_name

    return [] if bare_name(file) is None else sorted(file.parent.glob("*.yaml"))


def _tables_first(path: Path) -> tuple[bool, str]:
    """Return a key that sorts tables before other studies, then by name."""
    return not path.stem.startswith("table"), path.stem
