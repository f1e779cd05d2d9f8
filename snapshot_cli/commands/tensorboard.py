"""snapshot tensorboard: write event files from run directories, apart from training."""

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
from snapshot_cli.commands import completion, options
from snapshot_cli.commands.sources import sources_argument
from snapshot_cli.config.shipped import results_folder
from snapshot_cli.errors import ConfigError, UserError
from snapshot_cli.words import counted

if TYPE_CHECKING:
    from snapshot_cli.config.experiment import Experiment, Run
    from snapshot_cli.config.study import Split, Study
    from snapshot_cli.run_directory import RunDirectory
    from snapshot_cli.tracking.logs import Log

FOLLOW_SECONDS = 5.0
EXPERIMENT_FIGURES = ("schedule", "loss", "ensemble-size", "correlation", "calibration")


@dataclass(frozen=True)
class Sources:
    """Run directories, the logs of runs and ensembles, the log of figures, if any, and the command that trains."""

    directories: Sequence[RunDirectory]
    logs: Sequence[Log]
    figures: Sequence[Log]
    train: str


@click.command(short_help="Write event files of runs for TensorBoard.")
@sources_argument
@options.set_option
@options.data_option
@options.results_option
@click.option("--follow", is_flag=True, help="Repeat until all runs are done, or Ctrl-C.")
@click.option(
    "-o",
    "output",
    type=completion.UserPath(file_okay=False),
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

    Give the FILE that is trained, or run directories. Works during training and never disturbs it. Run it again to add
    what is new. View with `tensorboard --logdir DIR`.
    """
    from snapshot_cli.tracking import events, logs

    events.require()
    if file is None:
        folder = results_folder(directories[0] / "config.yaml", results)
        sources = _from_directories(directories, data)
    else:
        folder = results_folder(file, results)
        sources = _from_file(file, sets, data, results, folder)
    output = folder / "tensorboard" if output is None else output
    if not follow and all(directory.status == "absent" for directory in sources.directories):
        raise UserError(f"{folder}: none of the runs has been started; type {sources.train}")
    with lock.hold(output):
        errors = _write(sources, output, follow=follow)
        errors |= logs.update(sources.figures, output)[1]
    click.echo(f"{_summary(sources)}; view them with tensorboard --logdir {shlex.quote(str(output))}")
    if errors:
        raise UserError("\n".join(dict.fromkeys(errors.values())))


def _write(sources: Sources, output: Path, *, follow: bool) -> dict[str, str]:
    """Write the logs of runs and ensembles, repeatedly with `follow`; return the errors by name of log."""
    from snapshot_cli.tracking import logs

    remaining, last = list(sources.logs), ""
    errors: dict[str, str] = {}
    while True:
        tried = {log.name for log in remaining}
        remaining, new_errors = logs.update(remaining, output)
        errors = {name: error for name, error in errors.items() if name not in tried} | new_errors
        if not follow or not remaining:
            return errors
        line = _summary(sources)
        if line != last:
            click.echo(line, err=True)
        last = line
        time.sleep(FOLLOW_SECONDS)


def _summary(sources: Sources) -> str:
    """Return the number of runs by status, in words."""
    from snapshot_cli.run_directory import STATUS_WORDS

    counts = Counter(directory.status for directory in sources.directories)
    words = ", ".join(f"{counts[status]} {word}" for status, word in STATUS_WORDS.items() if counts[status])
    return f"{counted(len(sources.directories), 'run')}: {words}"


def _from_directories(directories: Sequence[Path], data: Path) -> Sources:
    from snapshot_cli.run_directory import RunDirectory

    runs = [RunDirectory(path) for path in {path.resolve(): path for path in directories}.values()]
    paths: dict[str, Path] = {}
    for directory in runs:
        other = paths.setdefault(directory.run.run_id, directory.path)
        if other != directory.path:
            raise ConfigError(
                f"{directory.path}: the same run as {other}, whose log it would overwrite; write one of them to "
                "another DIR with -o"
            )
    train = options.train_command(directories[0])
    return Sources(runs, _run_logs(runs, [directory.run for directory in runs], data), [], train)


def _from_file(file: Path, sets: tuple[str, ...], data: Path, results: Path | None, folder: Path) -> Sources:
    from snapshot_cli.commands.evaluate import dataset_hashes
    from snapshot_cli.config import plan
    from snapshot_cli.config.experiment import Run
    from snapshot_cli.run_directory import RunDirectory
    from snapshot_cli.tracking import logs

    config = options.load(file, sets, data)
    runs = plan.runs(config)
    directories = [RunDirectory.of(run, folder) for run in runs]
    train = options.train_command(file, sets, results)
    if isinstance(config, Run):
        return Sources(directories, _run_logs(directories, runs, data), [], train)
    study = _study_with_figures(config, file)
    run_logs = _run_logs(directories, runs, data, study.split)
    figures = logs.figure_log(study, folder, dataset_hashes(data))
    return Sources(directories, [*run_logs, *logs.ensemble_logs(study, folder)], [figures], train)


def _study_with_figures(config: Experiment | Study, file: Path) -> Study:
    """Return a study, or one of a single experiment with `EXPERIMENT_FIGURES`."""
    from snapshot_cli.config.experiment import Experiment
    from snapshot_cli.config.load import as_study
    from snapshot_cli.config.study import Drawing

    study = as_study(config, file)
    if not isinstance(config, Experiment):
        return study
    return study.model_copy(update={"render": {kind: Drawing(kind=kind) for kind in EXPERIMENT_FIGURES}})


def _run_logs(directories: Sequence[RunDirectory], runs: Sequence[Run], data: Path, split: Split = "test") -> list[Log]:
    from snapshot_cli.datasets.manifest import training_examples
    from snapshot_cli.tracking import logs

    available = training_examples(data)
    run_logs = []
    for directory, run in zip(directories, runs, strict=True):
        if run.dataset not in available:
            raise UserError(f"{directory.path}: its dataset '{run.dataset}' is not prepared in {data}; see --data-dir")
        examples = run.training_examples(available[run.dataset])
        run_logs.append(logs.run_log(directory, run, examples, split=split))
    return run_logs
