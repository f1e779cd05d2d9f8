"""snapshot reproduce and snapshot report: a whole table or figure."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from snapshot_cli.commands import options
from snapshot_cli.errors import ConfigError, Stopped, UserError

if TYPE_CHECKING:
    from snapshot_cli.config.experiment import Run
    from snapshot_cli.config.machine import Machine
    from snapshot_cli.config.study import Study

LARGE = 50_000_000  # training images: weeks without a GPU, even for the smallest networks of the paper
study_argument = click.argument("name", metavar="STUDY")


@click.command(short_help="Train what a study lacks, then draw it.")
@study_argument
@options.set_option
@options.machine_options
@click.option(
    "--jobs", type=click.IntRange(1), metavar="N", help="Runs side by side.  [default: 1 on a GPU, else one a core]"
)
@click.option("--dry-run", is_flag=True, help="List the runs and how far they are, and train nothing.")
def reproduce(
    name: str,
    sets: tuple[str, ...],
    data: Path,
    results: Path | None,
    device: str,
    threads: int | None,
    jobs: int | None,
    dry_run: bool,
) -> None:
    """Train what a study lacks, then draw its tables and figures.

    STUDY is a YAML file or the bare name of one under configs/studies: table1, small/table1, demo/table1.
    """
    from snapshot_cli.config import plan

    file, study, folder = _study(name, sets, data, results)
    machine = options.machine(data, folder, device, threads)
    runs = plan.runs(study)
    missing = _missing(runs, folder)
    if dry_run:
        _list(runs, machine)
        return
    click.echo(_summary(study.title, len(runs), len(missing)), err=True)
    failures = _train(missing, machine, ["--config", str(file), *_repeat("--set", sets)], jobs, name) if missing else []
    _draw(study, folder, data, f"{name}{options.repeated(sets, results)}")
    if failures:
        raise UserError("\n".join([f"{len(failures)} of {len(missing)} runs failed:", *failures]))


@click.command(short_help="Draw what is finished of a study.")
@study_argument
@options.set_option
@options.data_option
@options.results_option
def report(name: str, sets: tuple[str, ...], data: Path, results: Path | None) -> None:
    """Redraw a study's tables and figures from what is finished.

    What is missing is shown as a dash with a footnote.
    """
    _, study, folder = _study(name, sets, data, results)
    _draw(study, folder, data, f"{name}{options.repeated(sets, results)}")


def _study(name: str, sets: tuple[str, ...], data: Path, results: Path | None) -> tuple[Path, Study, Path]:
    from snapshot_cli.config.shipped import study_path
    from snapshot_cli.config.study import Study

    file = study_path(name)
    asked = options.load(file, sets, data)
    if not isinstance(asked, Study):
        raise ConfigError(
            f"{file}: expected a study (title, methods, ...), given one experiment; type snapshot train --config {file}"
        )
    return file, asked, options.results_folder(file, results)


def _summary(title: str, runs: int, missing: int) -> str:
    of_runs = "the only run" if runs == 1 else f"all {runs} runs"
    if missing == 0:
        return f"{title}: {of_runs} finished before, nothing was trained; drawn from what is there:"
    return f"{title}: {runs} run{'s' * (runs > 1)}, {runs - missing} finished, {missing} to train"


def _missing(runs: Sequence[Run], results: Path) -> list[Run]:
    from snapshot_cli.run_directory import RunDirectory

    return [run for run in runs if RunDirectory.of(run, results).status != "done"]


def _images(runs: Sequence[Run], data: Path) -> dict[Run, int]:
    """Return the training images that each run looks at."""
    from snapshot_cli.config import plan
    from snapshot_cli.datasets.manifest import training_examples

    available = training_examples(data)
    return {run: plan.images(run, available[run.dataset]) for run in runs}


def _list(runs: Sequence[Run], machine: Machine) -> None:
    from snapshot_cli.run_directory import RunDirectory

    images = _images(runs, machine.data)
    status = {run: RunDirectory.of(run, machine.results).status for run in runs}
    click.echo(f"{'status':8}{'images':>14}  run")
    for run in runs:
        click.echo(f"{status[run]:8}{images[run]:>14,}  {run.run_id}")
    missing = [run for run in runs if status[run] != "done"]
    click.echo(
        f"{len(runs)} run{'s' * (len(runs) > 1)}, {len(runs) - len(missing)} done; "
        f"{sum(images[run] for run in missing):,} of {sum(images.values()):,} training images to go"
    )


def _train(missing: Sequence[Run], machine: Machine, asked: Sequence[str], jobs: int | None, name: str) -> list[str]:
    """Train the missing runs, the longest first, and return a line for each that failed."""
    import os

    from rich.console import Console

    from snapshot_cli.launch import here, slots
    from snapshot_cli.launch.progress import Board
    from snapshot_cli.launch.signals import stop_request
    from snapshot_cli.training import hardware

    images = _images(missing, machine.data)
    kind = hardware.choose(machine.device).type
    if kind == "cpu" and machine.device == "auto" and sum(images.values()) > LARGE:
        raise UserError(_too_large(name, images))
    for dataset in dict.fromkeys(run.dataset for run in missing):
        here.prepared(dataset, machine)
    ordered = sorted(missing, key=lambda run: -images[run])
    slots_ = jobs or (1 if kind == "cuda" else min(os.cpu_count() or 1, len(missing)))
    with stop_request() as stop, Board(Console(stderr=True), images, machine.results) as board:
        failures = slots.train_all(ordered, machine, asked, jobs=slots_, board=board, stop=stop)
    if stop.signal is not None:
        stopped = Stopped("stopped; the same command goes on from there")
        stopped.exit_code = 130 if stop.signal == signal.SIGINT else Stopped.exit_code
        raise stopped
    return failures


def _too_large(name: str, images: dict[Run, int]) -> str:
    from snapshot_cli.config.shipped import study_path

    lines = [
        f"{name}: {len(images)} runs with {sum(images.values()):,} training images to go, and no GPU here: this would "
        f"take weeks."
    ]
    for smaller in (f"{size}/{Path(name).stem}" for size in ("small", "demo")):
        try:
            study_path(smaller)
        except ConfigError:
            continue
        lines.append(f"A size for a CPU: snapshot reproduce {smaller}")
        break
    return "\n".join([*lines, f"Train it here all the same: snapshot reproduce {name} --device cpu"])


def _draw(study: Study, results: Path, data: Path, called: str) -> None:
    from snapshot_cli.commands.evaluate import dataset_hashes
    from snapshot_cli.reporting import report

    for path in report.write(study, results, dataset_hashes(data), called=called):
        click.echo(path)


def _repeat(option: str, values: Sequence[str]) -> list[str]:
    return [word for value in values for word in (option, value)]
