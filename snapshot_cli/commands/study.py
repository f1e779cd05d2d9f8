"""snapshot reproduce and snapshot report: whole tables and figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from snapshot_cli.commands import completion, options
from snapshot_cli.errors import ConfigError, UserError, arguments, as_argument, command

if TYPE_CHECKING:
    from snapshot_cli.config.experiment import Run
    from snapshot_cli.config.machine import Machine
    from snapshot_cli.config.study import Study
    from snapshot_cli.launch.engine import Engine
    from snapshot_cli.reporting.report import Sheet

studies_argument = click.argument(
    "names", metavar="STUDY...", nargs=-1, required=True, shell_complete=completion.studies
)


@dataclass(frozen=True)
class Asked:
    """A study, its file, and the name that it was asked for by."""

    name: str
    file: Path
    study: Study


@click.command(short_help="Train the missing runs of studies, then draw them.")
@studies_argument
@options.set_option
@options.plugin_option
@options.training_options
@options.engine_options
@click.option("--shard", metavar="I/N", help="Only the I-th of N lists of runs of equal cost; draw nothing.")
@click.option("--dry-run", is_flag=True, help="List the runs and how far they are, and train nothing.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "commands"]),
    default="table",
    show_default=True,
    help="Of --dry-run: commands prints a shell command for each run that is to be trained.",
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
    """Train what studies lack, then draw their tables and figures.

    STUDY is a YAML file or the bare name of one under configs/studies: table1, small/table1, demo/table1. What several
    of them share is trained once.
    """
    from snapshot_cli.analysis import scoring
    from snapshot_cli.commands import trainings
    from snapshot_cli.config import plan

    if form == "commands" and not dry_run:
        raise ConfigError("--format commands: goes with --dry-run")
    asked, folder = studies(names, sets, machine.data, results)
    machine = replace(machine, results=folder)
    words: dict[Run, list[str]] = {}
    for each in asked:
        for run in plan.runs(each.study):
            words.setdefault(run, [as_argument(each.file), *_repeat("--set", sets)])
    runs = list(words) if shard is None else trainings.share(list(words), shard, machine.data)
    lines = list(dict.fromkeys(run for each in asked for run in trainings.to_interpolate(each.study, folder)))
    lines = [run for run in lines if run in runs]
    needed = {run for each in asked for run in scoring.missing_of(each.study, folder)}
    needed |= set(scoring.missing(lines, folder))
    lacking = [run for run in runs if run in needed]
    if dry_run and form == "commands":
        trainings.print_commands(runs, lacking, machine, words, lines)
        return
    if dry_run:
        trainings.show(runs, lacking, machine, lines=len(lines))
        return
    click.echo(_summary(asked, len(runs), len(lacking), shard), err=True)
    failures = trainings.train(lacking, machine, words, engine=engine, names=names) if lacking else []
    still = set(scoring.missing(lines, folder))
    finished = [run for run in lines if run not in still]
    failures += trainings.interpolate(finished, machine, words, engine=engine) if finished else []
    again = options.repeated(sets, results)
    with _told(failures, len({*lacking, *finished})):
        if shard is None:
            sheets, paths = _draw(asked, folder, machine.data, again, force=False)
            _show(sheets, paths, names, folder, again)
        else:
            click.echo(f"{command('report', *map(Path, names))}{again} draws what is finished", err=True)


@click.command(short_help="Redraw tables, figures and page from finished runs.")
@studies_argument
@options.set_option
@options.data_option
@options.results_option
@click.option("--force", is_flag=True, help="Replace files that rest on more finished runs than are there now.")
def report(names: tuple[str, ...], sets: tuple[str, ...], data: Path, results: Path | None, force: bool) -> None:
    """Redraw the tables and figures of studies from the scores of what is finished.

    What is missing is shown as a dash with a footnote. report.html in the same folder has all studies of that size.
    """
    asked, folder = studies(names, sets, data, results, finished=True)
    _, paths = _draw(asked, folder, data, options.repeated(sets, results), force=force)
    for path in paths:
        click.echo(path)


def studies(
    names: Sequence[str], sets: tuple[str, ...], data: Path, results: Path | None, *, finished: bool = False
) -> tuple[list[Asked], Path]:
    """Return the studies and the folder of results that they share; ConfigError where they share none.

    With `finished`, datasets that have runs or scores there need not be prepared.
    """
    from snapshot_cli.config.shipped import study_path
    from snapshot_cli.config.study import Study

    found = []
    for name in dict.fromkeys(names):
        file = study_path(name)
        asked = options.load(file, sets, data, options.results_folder(file, results) if finished else None)
        if not isinstance(asked, Study):
            raise ConfigError(
                f"{file}: expected a study (title, methods, ...), given one experiment; "
                f"type {options.train_command(file, sets, results)}"
            )
        found.append(Asked(name, file, asked))
    folders = list(dict.fromkeys(options.results_folder(each.file, results) for each in found))
    if len(folders) > 1:
        raise ConfigError(
            f"{found[0].name} has its results in {folders[0]}, others in {folders[1]}; give studies of one size, "
            f"or --results-dir"
        )
    return found, folders[0]


def _summary(asked: Sequence[Asked], runs: int, lacking: int, shard: str | None) -> str:
    title = asked[0].study.title if len(asked) == 1 else f"{len(asked)} studies"
    title += f", shard {shard}" if shard else ""
    of_runs = "the only run" if runs == 1 else f"all {runs} runs"
    if runs == 0:
        return f"{title}: no run in it, there are more shards than runs"
    if lacking == 0:
        return f"{title}: {of_runs} finished before, nothing to train"
    return f"{title}: {runs} run{'s' * (runs > 1)}, {runs - lacking} finished, {lacking} to train"


@contextmanager
def _told(failures: Sequence[str], runs: int) -> Iterator[None]:
    """Raise UserError with what failed of some runs, once the rest is done, and with what is wrong with the rest."""
    words = [f"{len(failures)} of {runs} runs failed:", *failures]
    try:
        yield
    except UserError as error:
        if not failures:
            raise
        words.append(str(error))
    if failures:
        raise UserError("\n".join(words))


def _show(sheets: Sequence[Sheet], paths: Sequence[Path], names: Sequence[str], results: Path, given: str) -> None:
    """Print the errors of the studies, the claims they decide, where the page is, and what to type next."""
    from snapshot_cli.reporting.summary import summary

    for sheet in sheets:
        options.show(summary(sheet.study, sheet.outcomes))
    studies_given = arguments(*map(Path, names)) + given
    click.echo(f"All tables and figures: open {results / 'report.html'} in a browser ({len(paths)} files written)")
    steps = {
        f"snapshot compare {studies_given}": "compare the methods pair by pair",
        "snapshot init": "write an experiment file of your own",
    }
    width = max(map(len, steps))
    click.echo("\n".join(["Next:", *(f"  {typed:{width}}  {meaning}" for typed, meaning in steps.items())]))


def _draw(
    asked: Sequence[Asked], results: Path, data: Path, given: str, *, force: bool
) -> tuple[list[Sheet], list[Path]]:
    """Write tables and figures of the studies, and the page over all of their size; return the studies and the files.

    Raises UserError, with what to type, where nothing is finished.
    """
    from snapshot_cli.commands.evaluate import dataset_hashes
    from snapshot_cli.reporting import rendering, report

    hashes = dataset_hashes(data)
    sheets = {
        one.file.resolve(): report.draw(one.study, results, hashes, called=arguments(Path(one.name)) + given)
        for one in asked
    }
    if not any(sheet.drawn for sheet in sheets.values()):
        named = arguments(*(Path(one.name) for one in asked))
        raise UserError(f"{named}: nothing is finished in {results}; type snapshot reproduce {named}{given}")
    others = _others(asked[0].file, list(sheets), results, hashes, data)
    rendering.render((sheet.drawn, results if path in sheets else None) for path, sheet in (sheets | others).items())
    paths: list[Path] = []
    kept: list[str] = []
    for sheet in sheets.values():
        if not sheet.drawn:
            click.echo(f"{sheet.called}: nothing is finished; snapshot reproduce {sheet.called} trains it", err=True)
        written = report.write(sheet.drawn, results, force=force)
        paths += written.paths
        kept += written.kept
    named_sheets = list(sheets.values())
    sheets |= others
    ordered = [sheets[path] for path in sorted(sheets, key=_place)]
    title = f"Snapshot ensembles: {results.name} results"
    written = report.write_page(ordered, results, title=title, force=force)
    paths += written.paths
    kept += written.kept
    if kept:
        click.echo(
            f"kept, as they rest on more finished runs than are there now: {', '.join(kept)}; "
            "--force of snapshot report replaces them",
            err=True,
        )
    return named_sheets, paths


def _others(
    file: Path, drawn: Sequence[Path], results: Path, hashes: Mapping[str, str], data: Path
) -> dict[Path, Sheet]:
    """Return what is drawn of the other studies of a shipped one's size, for the page."""
    from snapshot_cli.config.shipped import bare_name
    from snapshot_cli.config.study import Study
    from snapshot_cli.reporting import report

    sheets: dict[Path, Sheet] = {}
    for sibling in (path for path in _siblings(file) if path.resolve() not in drawn):
        name = bare_name(sibling) or arguments(sibling)
        try:
            study = options.load(sibling, (), data, results)
            if isinstance(study, Study):
                sheets[sibling.resolve()] = report.draw(study, results, hashes, called=name)
        except UserError as error:
            click.echo(f"{name} is not on the page: {error}", err=True)
    return sheets


def _siblings(file: Path) -> list[Path]:
    """Return the files of all studies of a shipped one's size."""
    from snapshot_cli.config.shipped import bare_name

    return [] if bare_name(file) is None else sorted(file.parent.glob("*.yaml"))


def _place(path: Path) -> tuple[bool, str]:
    """Sort tables before all else, each kind by name."""
    return not path.stem.startswith("table"), path.stem


def _repeat(option: str, values: Sequence[str]) -> list[str]:
    return [word for value in values for word in (option, value)]
