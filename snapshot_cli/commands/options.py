"""Options that several commands share, and helpers for the values they give."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from snapshot_cli.commands import completion
from snapshot_cli.errors import ConfigError, command

if TYPE_CHECKING:
    from rich.table import Table

    from snapshot_cli.config.experiment import Experiment, Run
    from snapshot_cli.config.study import Study

Command = TypeVar("Command", bound=Callable[..., None])
Decorator = Callable[[Command], Command]
FILE = completion.UserPath()
WIDEST = 10_000  # columns; more than any table has

set_option = click.option(
    "--set",
    "sets",
    multiple=True,
    metavar="KEY=VALUE",
    shell_complete=completion.settings,
    help="Override a key of the file for this command, such as cycles=4; repeatable.",
)
data_option = click.option(
    "--data-dir",
    "data",
    type=FILE,
    default=Path("data"),
    show_default=True,
    envvar="SNAPSHOT_DATA_DIR",
    metavar="D",
    help="Folder of prepared datasets; also SNAPSHOT_DATA_DIR.",
)
results_option = click.option(
    "--results-dir",
    "results",
    type=FILE,
    metavar="R",
    help="Folder of results.  [default: results/SIZE; SIZE is demo, small, medium, paper or own, by the file's folder]",
)
device_option = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Device to train on; auto is a GPU if there is one.",
)
threads_option = click.option(
    "--threads",
    type=click.IntRange(1),
    metavar="N",
    help="CPU threads per run.  [default: torch's choice; parallel runs: an equal share; Ray: 1]",
)
checkpoint_option = click.option(
    "--checkpoint-seconds",
    type=click.FloatRange(0),
    default=300,
    show_default=True,
    metavar="N",
    help="Seconds between checkpoints, besides one after every epoch.",
)
deterministic_option = click.option(
    "--deterministic", is_flag=True, help="Use only deterministic GPU kernels: reproducible, but slower."
)
compile_option = click.option(
    "--compile", is_flag=True, help="Use torch.compile: faster after one or two minutes of compiling."
)
workers_option = click.option(
    "--workers",
    type=click.IntRange(0),
    metavar="N",
    help="Processes that decode streamed images (ImageNet).  [default: one per core; parallel runs share the cores]",
)

other_ranks_option = click.option(
    "--other-ranks",
    is_flag=True,
    help="Allow a run to resume with another number of torchrun processes; this changes its results.",
)

jobs_option = click.option(
    "--jobs",
    type=click.IntRange(1),
    metavar="N",
    help="Parallel runs.  [default: --per-gpu on every GPU; without a GPU one per core]",
)
per_gpu_option = click.option(
    "--per-gpu", type=click.IntRange(1, 10_000), metavar="K", help="Parallel runs per GPU.  [default: 1]"
)


def _load_plugins(ctx: click.Context, parameter: click.Parameter, paths: tuple[Path, ...]) -> None:
    from snapshot_cli.networks import plugins

    for path in () if ctx.resilient_parsing else paths:
        plugins.load(path)


plugin_option = click.option(
    "--plugin",
    multiple=True,
    type=FILE,
    metavar="FILE.py",
    expose_value=False,
    callback=_load_plugins,
    help="Python file whose NETWORKS defines the networks plugin:NAME; repeatable.",
)

engine_option = click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="What starts the runs: processes on this machine, or Ray.",
)
address_option = click.option(
    "--address", metavar="A", help="Ray cluster to use: auto or HOST:PORT.  [default: this machine alone]"
)


def machine_options(*options: Decorator[Command]) -> Decorator[Command]:
    """Add options that describe a machine; the command gets them as one `machine`, and `results` apart.

    Options of the command itself that are fields of Machine go into `machine`, too.
    """

    def add(run: Command) -> Command:
        @wraps(run)
        def with_machine(**values: Any) -> None:
            from snapshot_cli.config.machine import Machine

            names = {field.name for field in fields(Machine)} & values.keys() - {"results"}
            machine = Machine(**{name: values.pop(name) for name in names})
            run(machine=machine, **values)

        return _add(cast("Command", with_machine), options)

    return add


def engine_options(run: Command) -> Command:
    """Add the options for parallel runs; the command gets them as one `engine`."""

    @wraps(run)
    def with_engine(*, jobs: int | None, per_gpu: int | None, engine: str, address: str | None, **values: Any) -> None:
        from snapshot_cli.launch.engine import Engine

        run(engine=Engine(engine, jobs, per_gpu, address), **values)

    return _add(cast("Command", with_engine), (jobs_option, per_gpu_option, engine_option, address_option))


def _add(run: Command, options: Sequence[Decorator[Command]]) -> Command:
    """Add options to a command, which shows them in this order."""
    for option in reversed(options):
        run = option(run)
    return run


training_options = machine_options(
    data_option,
    results_option,
    device_option,
    threads_option,
    checkpoint_option,
    deterministic_option,
    compile_option,
    workers_option,
)


def all_results_option(text: str) -> Callable[[Command], Command]:
    """Return the option for the folder with the results of all sizes, with its help text."""
    return click.option(
        "--results-dir",
        "results",
        type=FILE,
        default=Path("results"),
        show_default=True,
        metavar="R",
        help=text,
    )


def check_drawable(output: Path) -> None:
    """Raise ConfigError for a file name of another format than .svg, .png and .pdf."""
    from snapshot_cli.reporting.save import FORMATS

    if output.suffix.removeprefix(".") not in FORMATS:
        raise ConfigError(f"-o {output}: expected a name that ends in .svg, .png or .pdf")


def load(file: Path, sets: tuple[str, ...], data: Path, results: Path | None = None) -> Experiment | Study | Run:
    """Return the experiment, study or run in a file; ConfigError with a line for every mistake.

    Its datasets must be in the catalogue, prepared in `data`, or have runs or scores in `results`: finished runs can be
    evaluated without their images.
    """
    from snapshot_cli.config import load as loading
    from snapshot_cli.datasets.manifest import training_examples

    folders = [] if results is None else results.glob("*/*/")
    finished = [folder.name for folder in folders if folder.parent.name in ("runs", "scores")]
    return loading.load(file, sets, training_examples=dict.fromkeys(finished) | training_examples(data))


def train_command(source: Path, sets: tuple[str, ...] = (), results: Path | None = None) -> str:
    """Return the `snapshot train` command for a file or run directory, with --set and --results-dir as given here."""
    from snapshot_cli.config.shipped import name_of

    return command("train", name_of(source)) + repeated(sets, results)


def repeated(sets: tuple[str, ...], results: Path | None = None) -> str:
    """Return --set and --results-dir as given here, with a leading space, to append to a command to type."""
    import shlex

    words = [word for value in sets for word in ("--set", value)]
    words += [] if results is None else ["--results-dir", str(results)]
    return "".join(f" {shlex.quote(word)}" for word in words)


def show(tables: Iterable[Table | str]) -> None:
    """Print tables and lines on stdout, without cutting numbers off.

    Tables wrap text to fit into a terminal; if that is not enough, or in a pipe, they have their full width.
    """
    from rich.cells import cell_len
    from rich.console import Console

    console = Console(width=WIDEST)
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDEST
    for table in tables:
        if not isinstance(table, str):
            for column in table.columns:
                if column.no_wrap:  # rich would take their longest word as the least width
                    column.min_width = max(cell_len(str(text)) for text in (column.header, *column.cells))
            least, most = console.measure(table)
            console.width = max(least, min(most, columns))
        console.print(table, markup=False, highlight=False)
        console.width = WIDEST
