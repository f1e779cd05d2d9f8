"""snapshot eval: the errors of snapshots and ensembles."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from snapshot_cli.commands import options
from snapshot_cli.commands.sources import sources_argument
from snapshot_cli.config.shipped import results_folder
from snapshot_cli.errors import UserError

if TYPE_CHECKING:
    from snapshot_cli.analysis.outcomes import Outcome
    from snapshot_cli.config.experiment import Experiment, Run
    from snapshot_cli.config.study import Split, Study
    from snapshot_cli.run_directory import RunDirectory
    from snapshot_cli.scores import Scores


@click.command("eval", short_help="Print the error rates of snapshots and ensembles.")
@sources_argument
@options.set_option
@options.data_option
@options.results_option
@click.option(
    "--split",
    type=click.Choice(["test", "holdout"]),
    help="Images to score on; holdout are the training images withheld by `holdout: N`.  [default: the study's, else "
    "test]",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def evaluate(
    directories: tuple[Path, ...],
    file: Path | None,
    sets: tuple[str, ...],
    data: Path,
    results: Path | None,
    split: Split | None,
    as_json: bool,
) -> None:
    """Print the error rates of snapshots and ensembles.

    Give the FILE that was trained. For an experiment, prints every snapshot and the ensembles of the last m = 1..M; for
    a study, its methods side by side. Or give run directories, whose snapshots form one ensemble in the order given. To
    compare runs, use `snapshot compare`.
    """
    from snapshot_cli.run_directory import RunDirectory

    if file is None:
        _print(_together([RunDirectory(path) for path in directories], split), as_json)
        return
    folder = results_folder(file, results)
    config = options.load(file, sets, data, folder)
    check_finished(config, file, folder, options.train_command(file, sets, results), split)
    show(config, file, folder, data, split, as_json=as_json)


def show(
    config: Experiment | Study | Run,
    file: Path,
    results: Path,
    data: Path,
    split: Split | None = None,
    *,
    as_json: bool = False,
) -> None:
    """Print the scores of everything that a file asks for, all of it finished, on stdout."""
    from snapshot_cli.config.experiment import Run
    from snapshot_cli.config.study import Study
    from snapshot_cli.reporting import terminal
    from snapshot_cli.run_directory import RunDirectory

    if isinstance(config, Run):
        _print(_together([RunDirectory.of(config, results)], split), as_json)
        return
    outcomes = collect(config, file, results, data, split)
    is_one_cell = len(outcomes) == 1 and outcomes[0].experiment.replicates == 1
    if is_one_cell and not (as_json and isinstance(config, Study)):
        _print(outcomes[0].finished[0], as_json)
    elif as_json:
        _print_json(terminal.study_as_json(config.name if isinstance(config, Study) else None, outcomes))
    else:
        options.show(terminal.compare_methods(outcomes))


def collect(
    config: Experiment | Study, file: Path, results: Path, data: Path, split: Split | None = None
) -> list[Outcome]:
    """Return the experiments of a file with the scores of what is finished, on a split or else the study's own."""
    from snapshot_cli.analysis import outcomes
    from snapshot_cli.config.load import as_study

    study = as_study(config, file)
    return outcomes.collect(study.model_copy(update={"split": split or study.split}), results, dataset_hashes(data))


def _together(directories: Sequence[RunDirectory], split: Split | None) -> Scores:
    """Return the scores of all snapshots of some finished runs as one ensemble."""
    from snapshot_cli.analysis import scoring
    from snapshot_cli.serving import finished

    return scoring.score(finished.all_snapshots(directories), split=split or "test")


def _print(scores: Scores, as_json: bool) -> None:
    from snapshot_cli.reporting import terminal

    if as_json:
        _print_json(terminal.as_json(scores))
    else:
        options.show(terminal.members_and_ensembles(scores))


def _print_json(value: dict[str, Any]) -> None:
    click.echo(json.dumps(value, indent=2, allow_nan=False))


def dataset_hashes(data: Path) -> dict[str, str]:
    """Return the content hashes of the datasets that are prepared here, by name."""
    from snapshot_cli.datasets.manifest import prepared

    return {name: manifest.content_hash for name, manifest in prepared(data).items()}


def check_finished(
    config: Experiment | Study | Run, file: Path, results: Path, command: str, split: Split | None = None
) -> None:
    """Raise UserError, with the command to type, where runs that a file asks for are missing."""
    from snapshot_cli.analysis import scoring
    from snapshot_cli.config import plan
    from snapshot_cli.config.study import Study

    missing = scoring.runs_to_train(config, results, split)
    if missing:
        runs = plan.runs(config)
        verb = "is" if len(missing) == 1 else "are"
        which = "its run is" if len(runs) == 1 else f"{len(missing)} of its {len(runs)} runs {verb}"
        drawn = " (snapshot report draws the finished ones)" if isinstance(config, Study) else ""
        raise UserError(f"{file}: {which} not finished in {results}{drawn}; type {command}")
