"""snapshot tensorboard: event files from run directories, written by a process of its own that training never sees."""

from __future__ import annotations

import shlex
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from snapshot_cli import lock
from snapshot_cli.commands import options
from snapshot_cli.commands.sources import sources_argument
from snapshot_cli.errors import ConfigError, UserError

if TYPE_CHECKING:
    from snapshot_cli.config.experiment import Experiment, Run
    from snapshot_cli.config.study import Split, Study
    from snapshot_cli.run_directory import RunDirectory, Status
    from snapshot_cli.tracking.logs import Log

FOLLOW_SECONDS = 5.0
STATUS: dict[Status, str] = {"done": "done", "partial": "under way", "absent": "waiting"}
OF_AN_EXPERIMENT = ("schedule", "loss", "ensemble-size", "correlation", "calibration")  # figures


@dataclass(frozen=True)
class Asked:
    """The runs to show, the logs of these and their ensembles, and that of the figures, if any."""

    directories: Sequence[RunDirectory]
    logs: Sequence[Log]
    figures: Sequence[Log]
    train: str
    """What trains them."""


@click.command(short_help="Write event files of runs for TensorBoard.")
@sources_argument
@options.set_option
@options.data_option
@options.results_option
@click.option("--follow", is_flag=True, help="Go on while the runs are trained, until all are done or Ctrl-C.")
@click.option(
    "-o",
    "output",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Where to write.  [default: the folder tensorboard in R]",
)
def tensorboard(
    directories: tuple[Path, ...],
    file: Path | None,
    sets: tuple[str, ...],
    data: Path,
    results: Path | None,
    follow: bool,
    output: Path | None,
) -> None:
    """Write event files of runs for TensorBoard: curves, snapshots, ensembles, hyper-parameters and figures.

    Give the FILE that is trained, or run directories. Only files are read, so it works while others train, and a run
    never waits for it or fails with it. Typed again, it adds what is new. `tensorboard --logdir DIR` shows it all.
    """
    from snapshot_cli.tracking import events, logs

    events.require()
    if file is None:
        folder = options.results_folder(directories[0] / "config.yaml", results)
        asked = _of_directories(directories, data)
    else:
        folder = options.results_folder(file, results)
        asked = _of_file(file, sets, data, results, folder)
    output = folder / "tensorboard" if output is None else output
    if not follow and all(each.status == "absent" for each in asked.directories):
        raise UserError(f"{folder}: none of the runs has been started; type {asked.train}")
    with lock.hold(output):
        wrong = _write(asked, output, follow=follow)
        wrong |= logs.update(asked.figures, output)[1]
    click.echo(f"{_summary(asked)}; tensorboard --logdir {shlex.quote(str(output))} shows them")
    if wrong:
        raise UserError("\n".join(dict.fromkeys(wrong.values())))


def _write(asked: Asked, output: Path, *, follow: bool) -> dict[str, str]:
    """Write what runs and ensembles have to show, again and again if asked; return by log what is wrong, in words."""
    from snapshot_cli.tracking import logs

    remaining, last = list(asked.logs), ""
    wrong: dict[str, str] = {}
    while True:
        tried = {log.name for log in remaining}
        remaining, found = logs.update(remaining, output)
        wrong = {name: words for name, words in wrong.items() if name not in tried} | found
        if not follow or not remaining:
            return wrong
        line = _summary(asked)
        if line != last:
            click.echo(line, err=True)
        last = line
        time.sleep(FOLLOW_SECONDS)


def _summary(asked: Asked) -> str:
    """Return how many of the runs are how far."""
    counts = Counter(each.status for each in asked.directories)
    words = ", ".join(f"{counts[status]} {word}" for status, word in STATUS.items() if counts[status])
    return f"{len(asked.directories)} run{'s' * (len(asked.directories) != 1)}: {words}"


def _of_directories(directories: Sequence[Path], data: Path) -> Asked:
    from snapshot_cli.run_directory import RunDirectory

    found = [RunDirectory(path) for path in {path.resolve(): path for path in directories}.values()]
    first: dict[str, Path] = {}
    for each in found:
        if first.setdefault(each.run.run_id, each.path) != each.path:
            raise ConfigError(
                f"{each.path}: the same run as {first[each.run.run_id]}, whose log it would overwrite; give one of them"
                " a DIR of its own, with -o"
            )
    train = options.train_command(directories[0])
    return Asked(found, _of_runs(found, [each.run for each in found], data), [], train)


def _of_file(file: Path, sets: tuple[str, ...], data: Path, results: Path | None, folder: Path) -> Asked:
    from snapshot_cli.commands.evaluate import dataset_hashes
    from snapshot_cli.config import plan
    from snapshot_cli.config.experiment import Run
    from snapshot_cli.run_directory import RunDirectory
    from snapshot_cli.tracking import logs

    asked = options.load(file, sets, data)
    runs = plan.runs(asked)
    directories = [RunDirectory.of(run, folder) for run in runs]
    train = options.train_command(file, sets, results)
    if isinstance(asked, Run):
        return Asked(directories, _of_runs(directories, runs, data), [], train)
    study = _with_figures(asked, file)
    found = [*_of_runs(directories, runs, data, study.split), *logs.of_ensembles(study, folder)]
    return Asked(directories, found, [logs.of_figures(study, folder, dataset_hashes(data))], train)


def _with_figures(asked: Experiment | Study, file: Path) -> Study:
    """Return a study; one of a single experiment draws the figures that this has."""
    from snapshot_cli.config.experiment import Experiment
    from snapshot_cli.config.study import Drawing

    study = options.as_study(asked, file)
    if not isinstance(asked, Experiment):
        return study
    return study.model_copy(update={"render": {kind: Drawing(kind=kind) for kind in OF_AN_EXPERIMENT}})


def _of_runs(directories: Sequence[RunDirectory], runs: Sequence[Run], data: Path, split: Split = "test") -> list[Log]:
    from snapshot_cli.datasets.manifest import training_examples
    from snapshot_cli.tracking import logs

    available = training_examples(data)
    found = []
    for directory, run in zip(directories, runs, strict=True):
        if run.dataset not in available:
            raise UserError(
                f"{directory.path}: of the dataset '{run.dataset}', which is not prepared in {data}; see --data-dir"
            )
        examples = run.training_examples(available[run.dataset])
        found.append(logs.of_run(directory, run, examples, split=split))
    return found
