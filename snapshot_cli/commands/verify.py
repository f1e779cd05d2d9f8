"""snapshot verify: check the files of finished runs against their hashes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from snapshot_cli.commands import options
from snapshot_cli.errors import ConfigError, UserError, words_of
from snapshot_cli.files import find

if TYPE_CHECKING:
    from snapshot_cli.run_directory import RunDirectory

Checked = TypeVar("Checked")


@click.command(short_help="Check the files of finished runs.")
@click.argument("directories", nargs=-1, type=options.FILE, metavar="[RUN_DIR]...")
@click.option("--all", "everything", is_flag=True, help="Check all runs and scores in the folder of results.")
@options.all_results_option("Folder that --all looks through.")
def verify(directories: tuple[Path, ...], everything: bool, results: Path) -> None:
    """Compare every file of finished runs with its sha256; with --all, also the scores with the predictions.

    Deleted weights, and deleted predictions of a whole split, are no error. Exits with code 1 if a file differs.
    """
    from snapshot_cli.run_directory import RunDirectory

    if everything == bool(directories):
        given = "both" if everything else "neither"
        raise ConfigError(f"snapshot verify: expected either run directories or --all, given {given}")
    runs = _run_paths(results) if everything else directories
    scored = _score_paths(results) if everything else []
    if not runs and not scored:
        raise UserError(f"{results}: no run in it; snapshot train FILE trains one, or give another --results-dir")
    wrong = [line for path in runs for line in _readable(_check_run, RunDirectory(path))]
    wrong += [line for path in scored for line in _readable(_check_scores, path)]
    if wrong:
        raise UserError("\n".join(wrong))


def _run_paths(results: Path) -> list[Path]:
    """Return the run directories below a folder, also those that lost some files."""
    return sorted({path.parent for path in find(results, "config.yaml", "done.json")})


def _score_paths(results: Path) -> list[Path]:
    return sorted(path for path in find(results, "*.json") if path.parent.parent.name == "scores")


def _readable(check: Callable[[Checked], list[str]], source: Checked) -> list[str]:
    """Return what a check returns; a line for a file that cannot be read."""
    try:
        return check(source)
    except OSError as error:
        return [words_of(error)]


def _check_run(directory: RunDirectory) -> list[str]:
    """Print the state of a run and return a line for every wrong file."""
    if directory.status != "done":
        try:
            _ = directory.run
        except UserError as error:
            return [str(error)]
        click.echo(f"{directory.path}: not finished")
        return []
    wrong, not_kept = directory.verify()
    without = f"; not kept: {', '.join(not_kept)}" if not_kept else ""
    click.echo(f"{directory.path}: {'NOT ' if wrong else ''}as the run wrote it{without}")
    return wrong


def _check_scores(path: Path) -> list[str]:
    """Print the state of a file of scores and return a line for every error in it."""
    from snapshot_cli import scores
    from snapshot_cli.analysis import scoring

    try:
        stored = scores.read(path)
        again = scoring.rescore(stored, path.parents[2])
    except UserError as error:
        return [str(error)]
    differing = [] if again is None else scores.differences(stored, again)
    kept = "as it was written; its predictions were not kept" if again is None else "as the predictions give"
    click.echo(f"{path}: {'NOT ' if differing else ''}{kept}")
    remedy = "delete it, and snapshot report scores the runs again"
    return [f"{path}: {name} differs from what the predictions give; {remedy}" for name in differing]
