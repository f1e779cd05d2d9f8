"""snapshot verify: check the files of finished runs against their hashes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from snapshot_cli.commands import options
from snapshot_cli.errors import ConfigError, UserError, words_of
from snapshot_cli.files import find
from snapshot_cli.words import counted

if TYPE_CHECKING:
    from snapshot_cli.run_directory import RunDirectory

Checked = TypeVar("Checked")
Counts = Counter[tuple[str, str]]
"""How many runs or files of scores, by noun, are in a state."""
DIFFERS = "different from what was written"
DELETED = "as written; some weights or predictions deleted"


@click.command(short_help="Check the files of finished runs.")
@click.argument("directories", nargs=-1, type=options.FILE, metavar="[RUN_DIR]...")
@click.option("--all", "everything", is_flag=True, help="Check all runs and scores in the folder of results.")
@options.all_results_option("Folder that --all looks through.")
def verify(directories: tuple[Path, ...], everything: bool, results: Path) -> None:
    """Compare every file of finished runs with its sha256; with --all, also the scores with the predictions.

    Deleted weights, and deleted predictions of a whole split, are no error. Prints what was checked and every file that
    differs; exits with code 1 if there is one.
    """
    from snapshot_cli.run_directory import RunDirectory

    if everything == bool(directories):
        given = "both" if everything else "neither"
        raise ConfigError(f"snapshot verify: expected either run directories or --all, given {given}")
    runs = _run_paths(results) if everything else directories
    scored = _score_paths(results) if everything else []
    if not runs and not scored:
        raise UserError(f"{results}: no run in it; snapshot train FILE trains one, or give another --results-dir")
    counts: Counts = Counter()
    wrong = [line for path in runs for line in _readable(_check_run, RunDirectory(path), counts)]
    wrong += [line for path in scored for line in _readable(_check_scores, path, counts)]
    for (noun, state), count in counts.items():
        click.echo(f"{counted(count, noun)}: {state}")
    if wrong:
        raise UserError("\n".join(wrong))


def _run_paths(results: Path) -> list[Path]:
    """Return the run directories below a folder, also those that lost some files."""
    return sorted({path.parent for path in find(results, "config.yaml", "done.json")})


def _score_paths(results: Path) -> list[Path]:
    return sorted(path for path in find(results, "*.json") if path.parent.parent.name == "scores")


def _readable(check: Callable[[Checked, Counts], list[str]], source: Checked, counts: Counts) -> list[str]:
    """Return what a check returns; a line for a file that cannot be read."""
    try:
        return check(source, counts)
    except OSError as error:
        return [words_of(error)]


def _check_run(directory: RunDirectory, counts: Counts) -> list[str]:
    """Count the state of a run and return a line for every wrong file."""
    if directory.status != "done":
        try:
            _ = directory.run
        except UserError as error:
            return [str(error)]
        counts["unfinished run", "not checked"] += 1
        return []
    wrong, deleted = directory.verify()
    counts["finished run", DIFFERS if wrong else DELETED if deleted else "all files as written"] += 1
    return wrong


def _check_scores(path: Path, counts: Counts) -> list[str]:
    """Count the state of a file of scores and return a line for every error in it."""
    from snapshot_cli import scores
    from snapshot_cli.analysis import scoring

    try:
        stored = scores.read(path)
        again = scoring.rescore(stored, path.parents[2])
    except UserError as error:
        counts["score file", DIFFERS] += 1
        return [str(error)]
    differing = [] if again is None else scores.differences(stored, again)
    state = "equal to those computed from the predictions" if again else "as written; predictions deleted"
    counts["score file", DIFFERS if differing else state] += 1
    remedy = "delete it, and snapshot report scores the runs again"
    return [f"{path}: {name} differs from what the predictions give; {remedy}" for name in differing]
