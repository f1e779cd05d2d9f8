"""Train the missing runs of studies in parallel, and compute errors on the lines between their snapshots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from snapshot_cli import output
from snapshot_cli.errors import ConfigError, Stopped, UserError, arguments, command
from snapshot_cli.words import counted

if TYPE_CHECKING:
    from snapshot_cli.config.experiment import Run
    from snapshot_cli.config.machine import Machine
    from snapshot_cli.config.study import Study
    from snapshot_cli.launch.engine import Engine
    from snapshot_cli.launch.failure import Failure

LARGE = 50_000_000  # training images; on a CPU they take weeks, even with the paper's smallest networks


def to_interpolate(study: Study, results: Path) -> list[Run]:
    """Return the runs that a study's interpolation figures still need: first replicates without stored lines."""
    from snapshot_cli.analysis import scoring
    from snapshot_cli.config import plan

    drawings = [drawing for drawing in study.render.values() if drawing.kind == "interpolation"]
    drawn = [experiment for experiment in study.experiments if any(drawing.shows(experiment) for drawing in drawings)]
    return scoring.runs_without_lines([plan.cell(experiment) for experiment in drawn], results, study.split)


def show(runs: Sequence[Run], missing: Sequence[Run], machine: Machine, *, lines: int) -> None:
    """Print the status and training images of all runs, the totals, and the number of runs to interpolate.

    A run is done if it is finished or if the scores that need it are there.
    """
    from snapshot_cli.run_directory import STATUS_WORDS, RunDirectory

    sizes = images(runs, machine.data)
    click.echo(f"{'status':10}{'images':>12}  run")
    for run in runs:
        status = RunDirectory.of(run, machine.results).status if run in missing else "done"
        click.echo(f"{STATUS_WORDS[status]:10}{sizes[run]:>12,}  {run.run_id}")
    click.echo(
        f"{counted(len(runs), 'run')}, {len(runs) - len(missing)} done; "
        f"{sum(sizes[run] for run in missing):,} of {sum(sizes.values()):,} training images to go"
    )
    if lines:
        click.echo(f"errors between the snapshots of {counted(lines, 'run')} to compute")


def print_commands(
    runs: Sequence[Run],
    missing: Sequence[Run],
    machine: Machine,
    sources: Mapping[Run, Sequence[str]],
    lines: Sequence[Run],
) -> None:
    """Print a shell command for every run that is missing or to be interpolated."""
    from snapshot_cli.launch import train_process

    for run in longest_first(runs, machine.data):
        if run in missing or run in lines:
            extra = ["--interpolate"] if run in lines else []
            click.echo(train_process.shell_command(run, machine, [*sources[run], *extra]))


def longest_first(runs: Sequence[Run], data: Path) -> list[Run]:
    """Return the runs by operations, most first."""
    from snapshot_cli.launch import scheduling

    return scheduling.longest_first(_costs(runs, data))


def share(runs: Sequence[Run], shard: str, data: Path) -> list[Run]:
    """Return the i-th of n shards of nearly equal cost, for a shard i/n; the order of the runs stays."""
    from snapshot_cli.launch import scheduling

    number, count = scheduling.parse_shard(shard)
    chosen = set(scheduling.shares(_costs(runs, data), count)[number - 1])
    return [run for run in runs if run in chosen]


def train(
    missing: Sequence[Run],
    machine: Machine,
    sources: Mapping[Run, Sequence[str]],
    *,
    engine: Engine,
    names: Sequence[str],
) -> list[Failure]:
    """Train the missing runs, longest first; return the failures."""
    from snapshot_cli.launch import in_process
    from snapshot_cli.training import hardware

    sizes = images(missing, machine.data)
    if not engine.is_remote:
        kind = hardware.choose(machine.device).type
        if kind == "cpu" and machine.device == "auto" and sum(sizes.values()) > LARGE:
            raise UserError(_too_large(names, sizes))
        warning = in_process.precision_warning(missing, machine)
        if warning:
            click.echo(warning, err=True)
    in_process.check(missing, machine, lambda line: click.echo(line, err=True))
    return run_all(longest_first(missing, machine.data), machine, sources, engine=engine)


def interpolate(
    runs: Sequence[Run], machine: Machine, sources: Mapping[Run, Sequence[str]], *, engine: Engine
) -> list[Failure]:
    """Compute errors on the lines between snapshots of finished runs; return the failures."""
    click.echo(f"errors between the snapshots of {counted(len(runs), 'run')}:", err=True)
    return run_all(runs, machine, sources, engine=engine, extra=["--interpolate"])


def run_all(
    runs: Sequence[Run],
    machine: Machine,
    sources: Mapping[Run, Sequence[str]],
    *,
    engine: Engine,
    extra: Sequence[str] = (),
) -> list[Failure]:
    """Train or interpolate runs in parallel processes; return the failures. Raises Stopped after a signal."""
    from snapshot_cli.launch import slots
    from snapshot_cli.launch.progress_table import ProgressTable
    from snapshot_cli.launch.signals import stop_request

    gpus = [] if engine.is_remote else slots.gpus(machine)
    sizes = images(runs, machine.data)
    with (
        engine.connected(),  # before the signals, which Ray would take
        stop_request() as stop,
        ProgressTable(output.console(stderr=True), sizes, machine.results) as progress,
    ):
        failures = engine.train_all(runs, machine, sources, extra=extra, gpus=gpus, progress=progress, stop=stop)
    if stop.signal is not None:
        stopped = Stopped("stopped; type the same command to resume")
        stopped.exit_code = stop.exit_code
        raise stopped
    return failures


def _costs(runs: Sequence[Run], data: Path) -> dict[Run, int]:
    """Return the multiply-adds of every run."""
    from snapshot_cli.config import plan
    from snapshot_cli.datasets.manifest import shapes

    known = shapes(data)
    return {run: plan.operations(run, *known[run.dataset]) for run in runs}


def images(runs: Sequence[Run], data: Path) -> dict[Run, int]:
    """Return how many training images every run processes."""
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
            lines.append(f"A size for CPUs: {command('reproduce', *smaller)}")
            break
    return "\n".join([*lines, f"To train it here anyway: snapshot reproduce {called} --device cpu"])


def _exists(name: str) -> bool:
    from snapshot_cli.config.shipped import study_path

    try:
        return study_path(name).is_file()
    except ConfigError:
        return False
