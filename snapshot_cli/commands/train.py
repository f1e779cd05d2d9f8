"""snapshot train: train the runs of a file in this process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

import click

from snapshot_cli import output
from snapshot_cli.commands import options
from snapshot_cli.commands.sources import file_argument
from snapshot_cli.config.shipped import results_folder
from snapshot_cli.errors import ConfigError, Stopped

if TYPE_CHECKING:
    from snapshot_cli.config.experiment import Experiment, Run
    from snapshot_cli.config.machine import Machine
    from snapshot_cli.config.study import Study


@click.command(short_help="Train what FILE describes, or resume; print error rates.")
@file_argument
@options.set_option
@options.plugin_option
@options.training_options
@options.other_ranks_option
@click.option("--run", "run_id", metavar="RUN_ID", help="Train only this run of FILE.")
@click.option("--interpolate", is_flag=True, help="Also compute the errors on the line between snapshots (Figure 5).")
def train(
    file: Path,
    sets: tuple[str, ...],
    machine: Machine,
    results: Path | None,
    run_id: str | None,
    interpolate: bool,
) -> None:
    """Train what FILE describes, then print the error rates of snapshots and ensembles.

    FILE is an experiment, a study (all of its runs, in sequence) or a run directory. Finished runs are skipped; a
    stopped run resumes. To train every run in N processes, type `torchrun --nproc-per-node N --no-python snapshot train
    FILE`.
    """
    from snapshot_cli.analysis import scoring
    from snapshot_cli.commands.evaluate import show
    from snapshot_cli.launch import torchrun, train_process
    from snapshot_cli.launch.signals import stop_request
    from snapshot_cli.run_directory import RunDirectory

    loaded = options.load(file, sets, machine.data)
    machine = replace(machine, results=results_folder(file, results))
    runs = _runs(loaded, run_id, file, machine.results, interpolate=interpolate)
    from snapshot_cli.launch import in_process  # imports image decoders, so only once the file is checked

    warning = in_process.precision_warning(runs, machine)
    if warning and torchrun.rank() == 0:
        click.echo(warning, err=True)
    if len(runs) > 1:
        in_process.check([run for run in runs if RunDirectory.of(run, machine.results).status != "done"], machine)
    with stop_request(train_process.launcher()) as stop:
        for number, run in enumerate(runs, start=1):
            try:
                _train(run, machine, stop, f"run {number} of {len(runs)}: " if len(runs) > 1 else "")
                if interpolate and torchrun.rank() == 0:
                    _interpolate(run, machine, stop)
                if torchrun.rank() == 0:
                    scoring.store_finished(loaded, run, machine.results)
            except Stopped as error:
                error.exit_code = stop.exit_code
                raise
    if torchrun.rank() == 0:
        with output.optional():  # a full disk or closed pipe fails no finished training
            show(loaded if run_id is None else runs[0], file, machine.results, machine.data)


def _runs(
    loaded: Experiment | Study | Run, run_id: str | None, file: Path, results: Path, *, interpolate: bool
) -> list[Run]:
    """Return the run with an id, else all runs but those of which only the scores are left, if these are enough."""
    from snapshot_cli.analysis import scoring
    from snapshot_cli.config import plan
    from snapshot_cli.config.experiment import Run
    from snapshot_cli.run_directory import RunDirectory

    runs = plan.runs(loaded)
    if run_id is None:
        missing = set(scoring.runs_to_train(loaded, results))
        if interpolate and not isinstance(loaded, Run):
            missing |= {*scoring.runs_without_lines(plan.expand(loaded), results, scoring.default_split(loaded))}
        return [run for run in runs if run in missing or RunDirectory.of(run, results).status == "done"]
    chosen = [run for run in runs if run.run_id == run_id]
    if not chosen:
        near = get_close_matches(run_id, [run.run_id for run in runs], 1)
        hint = f"; did you mean '{near[0]}'?" if near else f"; the first is {runs[0].run_id}"
        raise ConfigError(f"--run {run_id}: not {_one_of(runs)} of {file}{hint}")
    return chosen


def _one_of(runs: list[Run]) -> str:
    return "the run" if len(runs) == 1 else f"one of the {len(runs)} runs"


def _train(run: Run, machine: Machine, stop: Callable[[], bool], title: str) -> None:
    from snapshot_cli.launch import in_process, torchrun, train_process
    from snapshot_cli.launch.progress import progress_callback, say
    from snapshot_cli.run_directory import RunDirectory

    console = output.console(stderr=True, quiet=torchrun.rank() > 0)
    path = RunDirectory.of(run, machine.results).path
    with progress_callback(console, run.batch_size) as callback:
        in_process.train(
            run,
            machine,
            callback=callback,
            stop=stop,
            note=lambda text: say(console, text),
            announce=lambda text: say(console, f"{title}{text}: {path}"),
            lock_timeout=train_process.lock_timeout(),
        )


def _interpolate(run: Run, machine: Machine, stop: Callable[[], bool]) -> None:
    from snapshot_cli.launch import in_process, train_process

    in_process.interpolate(run, machine, stop=stop, lock_timeout=train_process.lock_timeout())
