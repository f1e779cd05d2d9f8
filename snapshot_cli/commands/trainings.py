"""What snapshot reproduce trains: the runs that are missing, side by side, and the lines between their snapshots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from snapshot_cli.errors import ConfigError, Stopped, UserError, arguments, command

if TYPE_CHECKING:
    from snapshot_cli.config.experiment import Run
    from snapshot_cli.config.machine import Machine
    from snapshot_cli.config.study import Study
    from snapshot_cli.launch.engine import Engine

LARGE = 50_000_000  # training images: weeks without a GPU, even for the smallest networks of the paper


def to_interpolate(study: Study, results: Path) -> list[Run]:
    """Return the runs whose errors between snapshots a study draws and that are not stored: of the first replicates."""
    from snapshot_cli import scores
    from snapshot_cli.config import plan
    from snapshot_cli.run_directory import RunDirectory

    drawings = [each for each in study.render.values() if each.kind == "interpolation"]
    chosen = [e for e in study.experiments if any(drawing.shows(e) for drawing in drawings)]
    cells = [plan.cell(experiment) for experiment in chosen]
    lacking = []
    for cell in (cell for cell in cells if len(cell.runs) == 1 and len(cell.members) > 1):
        path, directory = scores.path(cell, results, study.split), RunDirectory.of(cell.runs[0], results)
        stored = path.is_file() and bool(scores.read(path).runs[cell.runs[0].run_id].lines)
        lacking += [] if stored or directory.has_interpolation else [cell.runs[0]]
    return list(dict.fromkeys(lacking))


def show(runs: Sequence[Run], lacking: Sequence[Run], machine: Machine, *, lines: int) -> None:
    """Print every run with its status and images, the images in all, and how many runs are to be interpolated.

    A run that lacks nothing is done, or scored where its directory is gone.
    """
    from snapshot_cli.run_directory import RunDirectory

    sizes = images(runs, machine.data)
    status: dict[Run, str] = {run: RunDirectory.of(run, machine.results).status for run in runs}
    status |= {run: "scored" for run in runs if run not in lacking and status[run] != "done"}
    click.echo(f"{'status':8}{'images':>14}  run")
    for run in runs:
        click.echo(f"{status[run]:8}{sizes[run]:>14,}  {run.run_id}")
    click.echo(
        f"{len(runs)} run{'s' * (len(runs) > 1)}, {len(runs) - len(lacking)} done; "
        f"{sum(sizes[run] for run in lacking):,} of {sum(sizes.values()):,} training images to go"
    )
    if lines:
        click.echo(f"errors between the snapshots of {lines} run{'s' * (lines > 1)} to compute")


def print_commands(
    runs: Sequence[Run],
    lacking: Sequence[Run],
    machine: Machine,
    asked: Mapping[Run, Sequence[str]],
    lines: Sequence[Run],
) -> None:
    """Print a command for a shell for every run that is lacking, or whose line is to be computed."""
    from snapshot_cli.launch import train_process

    for run in longest_first(runs, machine.data):
        if run in lacking or run in lines:
            extra = ["--interpolate"] if run in lines else []
            click.echo(train_process.shell_command(run, machine, [*asked[run], *extra]))


def longest_first(runs: Sequence[Run], data: Path) -> list[Run]:
    """Return the runs, the one with the most operations first."""
    from snapshot_cli.launch import scheduling

    return scheduling.longest_first(_costs(runs, data))


def share(runs: Sequence[Run], shard: str, data: Path) -> list[Run]:
    """Return the i-th of n lists of nearly equal cost, for a shard i/n, in the order that the runs are in."""
    from snapshot_cli.launch import scheduling

    number, count = scheduling.parse_shard(shard)
    chosen = set(scheduling.shares(_costs(runs, data), count)[number - 1])
    return [run for run in runs if run in chosen]


def train(
    lacking: Sequence[Run],
    machine: Machine,
    asked: Mapping[Run, Sequence[str]],
    *,
    engine: Engine,
    names: Sequence[str],
) -> list[str]:
    """Train the missing runs, the longest first, and return a line for each that failed."""
    from snapshot_cli.launch import in_process
    from snapshot_cli.training import hardware

    sizes = images(lacking, machine.data)
    if not engine.elsewhere:
        kind = hardware.choose(machine.device).type
        if kind == "cpu" and machine.device == "auto" and sum(sizes.values()) > LARGE:
            raise UserError(_too_large(names, sizes))
        remark = in_process.remark(lacking, machine)
        if remark:
            click.echo(remark, err=True)
    in_process.check(lacking, machine, lambda line: click.echo(line, err=True))
    return run_all(longest_first(lacking, machine.data), machine, asked, engine=engine)


def interpolate(
    runs: Sequence[Run], machine: Machine, asked: Mapping[Run, Sequence[str]], *, engine: Engine
) -> list[str]:
    """Compute the errors between the snapshots of finished runs and return a line for each that failed."""
    click.echo(f"errors between the snapshots of {len(runs)} run{'s' * (len(runs) > 1)}:", err=True)
    return run_all(runs, machine, asked, engine=engine, extra=["--interpolate"])


def run_all(
    runs: Sequence[Run],
    machine: Machine,
    asked: Mapping[Run, Sequence[str]],
    *,
    engine: Engine,
    extra: Sequence[str] = (),
) -> list[str]:
    """Let a process a run do its work, several side by side; Stopped when a signal asked for it."""
    from rich.console import Console

    from snapshot_cli.launch import slots
    from snapshot_cli.launch.progress_table import ProgressTable
    from snapshot_cli.launch.signals import stop_request

    gpus = [] if engine.elsewhere else slots.gpus(machine)
    sizes = images(runs, machine.data)
    with (
        engine.connected(),  # before the signals, which Ray would take
        stop_request() as stop,
        ProgressTable(Console(stderr=True), sizes, machine.results) as progress,
    ):
        failures = engine.train_all(runs, machine, asked, extra=extra, gpus=gpus, progress=progress, stop=stop)
    if stop.signal is not None:
        stopped = Stopped("stopped; the same command goes on from there")
        stopped.exit_code = stop.exit_code
        raise stopped
    return failures


def _costs(runs: Sequence[Run], data: Path) -> dict[Run, int]:
    """Return the operations of each run."""
    from snapshot_cli.config import plan
    from snapshot_cli.datasets.manifest import image_sides, training_examples

    available, sides = training_examples(data), image_sides(data)
    return {run: plan.operations(run, available[run.dataset], sides[run.dataset]) for run in runs}


def images(runs: Sequence[Run], data: Path) -> dict[Run, int]:
    """Return the training images that each run looks at."""
    from snapshot_cli.config import plan
    from snapshot_cli.datasets.manifest import training_examples

    available = training_examples(data)
    return {run: plan.images(run, available[run.dataset]) for run in runs}


def _too_large(names: Sequence[str], sizes: Mapping[Run, int]) -> str:
    called = arguments(*map(Path, names))
    lines = [
        f"{called}: {len(sizes)} runs with {sum(sizes.values()):,} training images to go, and no GPU here: this "
        "would take weeks."
    ]
    for size in ("small", "demo"):
        smaller = [f"{size}/{Path(name).stem}" for name in names]
        if all(map(_exists, smaller)):
            lines.append(f"A size for a CPU: {command('reproduce', *smaller)}")
            break
    return "\n".join([*lines, f"Train it here all the same: snapshot reproduce {called} --device cpu"])


def _exists(name: str) -> bool:
    from snapshot_cli.config.shipped import study_path

    try:
        return study_path(name).is_file()
    except ConfigError:
        return False
