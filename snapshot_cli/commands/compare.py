"""snapshot compare: runs, experiments and studies side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import click

from snapshot_cli.commands import completion, options
from snapshot_cli.commands.sources import refuse_set
from snapshot_cli.config.shipped import results_folder
from snapshot_cli.errors import ConfigError, UserError

if TYPE_CHECKING:
    from snapshot_cli.analysis.outcomes import Outcome
    from snapshot_cli.config.study import Split


@click.command(short_help="Compare runs, experiments or methods, pair by pair.")
@click.argument("sources", nargs=-1, required=True, metavar="FILE|RUN_DIR...", type=completion.Source())
@options.set_option
@options.data_option
@options.results_option
@click.option(
    "--split",
    type=click.Choice(["test", "holdout"]),
    help="Images to score on.  [default: the study's, else test]",
)
def compare(
    sources: tuple[str, ...], sets: tuple[str, ...], data: Path, results: Path | None, split: Split | None
) -> None:
    """Print the error of each run, experiment or method of a study, and the difference of every pair.

    Give run directories, experiments or studies. A difference above 0 means that the first has the lower error. With
    three seeds or more, a pair has the mean difference with its 95 % interval. With one seed it has McNemar's exact p,
    which says nothing about other seeds. Pairs scored on different images are left out.
    """
    from snapshot_cli.config.shipped import is_run_directory
    from snapshot_cli.reporting import terminal

    if all(map(is_run_directory, sources)):
        refuse_set(sets)
    outcomes = list(_outcomes(sources, sets, data, results, split))
    finished = [outcome for outcome in outcomes if outcome.scores]
    if not finished:
        raise UserError(
            f"{sources[0]}: nothing is finished; type {options.train_command(Path(sources[0]), sets, results)}"
        )
    pairs = [
        (one, other)
        for one, other in combinations(finished, 2)
        if len(sources) > 1 or one.experiment.network == other.experiment.network
    ]
    if len({outcome.split for outcome in finished}) > 1:
        raise ConfigError(
            f"{', '.join(sources)}: some are scored on test images, others on withheld training images; give --split"
        )
    if len(finished) < 2:
        for source in sources:
            if not any(outcome.scores for outcome in _of_source(source, sets, data, results, split)):
                train = options.train_command(Path(source), sets, results)
                raise UserError(f"{source}: nothing is finished; type {train}")
        raise ConfigError(f"{sources[0]}: has one finished experiment; give another one to compare it with")
    options.show(terminal.compare_pairs(finished, pairs))


def _outcomes(
    sources: Sequence[str], sets: tuple[str, ...], data: Path, results: Path | None, split: Split | None
) -> Iterator[Outcome]:
    """Yield the distinct experiments of all sources, with labels that tell them apart."""
    from snapshot_cli.analysis import outcomes

    by_experiment: dict[object, Outcome] = {}
    for source in sources:
        for outcome in _of_source(source, sets, data, results, split):
            by_experiment.setdefault(outcome.experiment, outcome)
    yield from outcomes.relabel(list(by_experiment.values()))


def _of_source(
    source: str, sets: tuple[str, ...], data: Path, results: Path | None, split: Split | None
) -> list[Outcome]:
    from snapshot_cli.analysis import outcomes
    from snapshot_cli.commands.evaluate import collect
    from snapshot_cli.config.experiment import Run
    from snapshot_cli.config.shipped import config_path, is_run_directory
    from snapshot_cli.run_directory import RunDirectory

    if is_run_directory(source):
        return outcomes.score_runs([RunDirectory(Path(source))], split or "test")
    file = config_path(source)
    folder = results_folder(file, results)
    config = options.load(file, sets, data, folder)
    if isinstance(config, Run):
        return outcomes.score_runs([RunDirectory.of(config, folder)], split or "test")
    return collect(config, file, folder, data, split)
