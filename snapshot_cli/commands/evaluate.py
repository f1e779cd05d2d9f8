"""snapshot eval: the errors of snapshots and ensembles, from stored predictions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from snapshot_cli.commands import options
from snapshot_cli.errors import UserError

if TYPE_CHECKING:
    from snapshot_cli.analysis.cells import Scored
    from snapshot_cli.config.experiment import Experiment, Run
    from snapshot_cli.config.study import Study
    from snapshot_cli.run_directory import RunDirectory, Split


@click.command("eval")
@click.argument("directories", nargs=-1, type=options.FILE, metavar="[RUN_DIR]...")
@click.option(
    "--config", "file", type=options.CONFIG, metavar="FILE", help="Experiment or study whose runs to evaluate."
)
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
    """Print the errors of snapshots and ensembles.

    Each snapshot has a line, and so has each ensemble of the last m = 1..M. Give the FILE that was trained, or run
    directories: their snapshots, in the order given, are then one ensemble. A study's methods stand side by side.
    """
    from snapshot_cli.config.study import Study
    from snapshot_cli.reporting import words
    from snapshot_cli.run_directory import RunDirectory

    options.check_source("eval", file, directories)
    if file is None:
        study, scored = None, [_together([RunDirectory(path) for path in directories], data, split or "test")]
    else:
        asked = options.load(file, sets, data)
        study = asked.name if isinstance(asked, Study) else None
        folder = options.results_folder(file, results)
        check_trained(asked, folder, f"snapshot train --config {file}{options.repeated(sets, results)}", file)
        scored = score(asked, folder, data, split=split)
    if as_json:
        alone = study is None and len(scored) == 1
        answer = words.as_json(scored[0]) if alone else words.study_as_json(study, scored)
        click.echo(json.dumps(answer, indent=2))
    else:
        show(scored)


def score(asked: Experiment | Study | Run, results: Path, data: Path, *, split: Split | None = None) -> list[Scored]:
    """Return the scores of everything that a file asks for; UserError, naming one, when runs are missing.

    Without a split it is the study's, and test for what is no study.
    """
    from snapshot_cli.analysis import cells
    from snapshot_cli.config import plan
    from snapshot_cli.config.experiment import Run
    from snapshot_cli.config.study import Study
    from snapshot_cli.run_directory import RunDirectory

    split = split or (asked.split if isinstance(asked, Study) else "test")
    if isinstance(asked, Run):
        return [_together([RunDirectory.of(asked, results)], data, split)]
    hashes = dataset_hashes(data)
    return [cells.score_cell(cell, results, hashes, split=split) for cell in plan.expand(asked)]


def show(scored: Sequence[Scored]) -> None:
    """Print the scores as tables on stdout."""
    from snapshot_cli.reporting import words

    options.show([words.members_and_ensembles(scored[0])] if len(scored) == 1 else words.side_by_side(scored))


def dataset_hashes(data: Path) -> dict[str, str]:
    """Return the content hashes of the datasets that are prepared here, by name."""
    from snapshot_cli.datasets.manifest import prepared

    return {name: manifest.content_hash for name, manifest in prepared(data).items()}


def check_trained(asked: Experiment | Study | Run, results: Path, command: str, file: Path) -> None:
    """Raise UserError, with the command to type, where runs that a file asks for are not finished."""
    from snapshot_cli.analysis import cells
    from snapshot_cli.config import plan

    runs = plan.runs(asked)
    lacking = cells.missing(runs, results)
    if lacking:
        their = "its run is" if len(runs) == 1 else f"{len(lacking)} of its {len(runs)} runs are"
        raise UserError(f"{file}: {their} not trained to the end in {results}; type {command}")


def _together(directories: Sequence[RunDirectory], data: Path, split: Split) -> Scored:
    """Return the scores of all snapshots of some runs as one ensemble."""
    from snapshot_cli.analysis import cells
    from snapshot_cli.serving import finished

    return cells.score(finished.all_snapshots(directories), dataset_hashes(data), split=split)
