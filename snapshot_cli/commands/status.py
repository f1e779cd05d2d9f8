"""snapshot status: where every run stands, from files alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import click

from snapshot_cli import output
from snapshot_cli.commands import completion, options
from snapshot_cli.commands.sources import refuse_set
from snapshot_cli.errors import UserError, visible, words_of
from snapshot_cli.files import find

if TYPE_CHECKING:
    from snapshot_cli.config.experiment import Run
    from snapshot_cli.launch.run_status import RunStatus

WATCH_SECONDS = 2.0
IDLE_LOOKS = 15  # without a run that runs or waits: between two runs of reproduce there is none for some seconds


@click.command(short_help="Show the progress of all runs.")
@click.argument("names", metavar="[STUDY]...", nargs=-1, shell_complete=completion.studies)
@options.set_option
@options.data_option
@options.results_option
@click.option("--watch", is_flag=True, help="Refresh every two seconds until no run is active, or Ctrl-C.")
def status(names: tuple[str, ...], sets: tuple[str, ...], data: Path, results: Path | None, watch: bool) -> None:
    """Show the progress of runs: state, share done, learning rate, training error, speed, time left, host.

    STUDY is as for reproduce. Without STUDY, shows every run in the results folder that was ever started. A waiting run
    was never started; a stopped or failed one resumes when you type its command again. Progress is that of the last
    finished epoch or checkpoint. Only reads files, so it works during training, from any host that sees them. Exits
    with 1 if a run cannot be shown.
    """
    problems: list[str] = []
    if names:
        look = _of_studies(names, sets, data, results)
    else:
        refuse_set(sets)
        look, problems = _below(results or Path("results"), data)
    if watch:
        for line in problems:
            click.echo(visible(line), err=True)
        _watch(look)
        return
    _print(look())
    if problems:
        raise UserError("\n".join(problems))


def _of_studies(
    names: Sequence[str], sets: tuple[str, ...], data: Path, results: Path | None
) -> Callable[[], list[RunStatus]]:
    from snapshot_cli.analysis import scoring
    from snapshot_cli.commands.study import studies
    from snapshot_cli.commands.trainings import images
    from snapshot_cli.config import plan
    from snapshot_cli.launch import run_status
    from snapshot_cli.run_directory import RunDirectory

    named, folder = studies(names, sets, data, results)
    sizes = images(list(dict.fromkeys(run for study in named for run in plan.runs(study.study))), data)

    def look() -> list[RunStatus]:
        missing = {run for study in named for run in scoring.runs_to_train(study.study, folder)}
        return [
            run_status.read_status(RunDirectory.of(run, folder), run, size, is_scored=run not in missing)
            for run, size in sizes.items()
        ]

    return look


def _below(results: Path, data: Path) -> tuple[Callable[[], list[RunStatus]], list[str]]:
    """Return a function that reads the status of all runs below a folder, and one line per run that cannot be shown."""
    from snapshot_cli.config import plan
    from snapshot_cli.datasets.manifest import training_examples
    from snapshot_cli.launch import run_status
    from snapshot_cli.run_directory import RunDirectory

    available, problems = training_examples(data), dict[Path, str]()
    runs: dict[Path, tuple[Run, int]] = {}

    def look() -> list[RunStatus]:
        for path in sorted(path.parent for path in find(results, "config.yaml")):
            if path in runs or path in problems:
                continue
            try:
                run = RunDirectory(path).run
            except (UserError, OSError) as error:
                problems[path] = words_of(error)
                continue
            if run.dataset in available:
                runs[path] = run, plan.images(run, available[run.dataset])
            else:
                what = f"of the dataset '{run.dataset}', which is not prepared in {data}; see --data-dir"
                problems[path] = f"{path}: {what}"
        return [run_status.read_status(RunDirectory(path), run, size) for path, (run, size) in sorted(runs.items())]

    if not look():
        nothing = f"{results}: no run in it; for the runs that a study will have, type snapshot status STUDY"
        raise UserError("\n".join(problems.values()) or nothing)
    return look, list(problems.values())


def _print(statuses: Sequence[RunStatus]) -> None:
    from snapshot_cli.launch import progress_table, run_status

    console = output.console()
    for line in chain(*progress_table.table(statuses, console.width if console.is_interactive else None)):
        console.print(line, soft_wrap=True)
    console.print(run_status.summary(statuses), markup=False, highlight=False, soft_wrap=not console.is_interactive)


def _watch(look: Callable[[], list[RunStatus]]) -> None:
    """Draw again and again on a terminal; elsewhere print the line about all runs whenever it changes."""
    from rich.live import Live

    from snapshot_cli.launch import progress_table, run_status

    console, last, idle = output.console(), "", 0
    live = Live(console=console, auto_refresh=False)
    with live if console.is_interactive else nullcontext():
        while True:
            statuses = look()
            line = run_status.summary(statuses)
            if console.is_interactive:
                live.update(progress_table.screen(statuses, *console.size), refresh=True)
            elif line != last:
                click.echo(line)
            states = {status.state for status in statuses}
            idle = 0 if states & {"running", "waiting"} else idle + 1
            if states <= {"done"} or idle > IDLE_LOOKS:
                return
            last = line
            time.sleep(WATCH_SECONDS)
