"""snapshot list: what can be named in a configuration or on the command line."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import get_args

import click
from click.core import ParameterSource

from snapshot_cli.commands import options

WIDTH = 80
INDENT = 18


@click.group("list", invoke_without_command=True, short_help="List experiments, studies, datasets, networks, methods.")
@options.data_option
@click.pass_context
def list_names(context: click.Context, data: Path) -> None:
    """List what can be named: experiments, studies, datasets, networks and methods.

    Without a command: all of them on one screen. With one: the names, one a line.
    """
    if context.invoked_subcommand is None:
        click.echo("\n".join(_overview(data)))
    elif context.get_parameter_source("data") is ParameterSource.COMMANDLINE:
        raise click.UsageError("--data-dir goes behind the command: snapshot list datasets --data-dir D")


@list_names.command(short_help="List the experiments that come with the runner.")
def experiments() -> None:
    """List the experiments in ./configs and those that come with the runner, as `snapshot train` takes them."""
    from snapshot_cli.config import shipped

    _print(shipped.experiments())


@list_names.command(short_help="List the studies that come with the runner.")
def studies() -> None:
    """List the studies in ./configs and those that come with the runner, as `snapshot reproduce` takes them."""
    from snapshot_cli.config import shipped

    _print(shipped.studies())


@list_names.command(short_help="List the datasets, prepared or not.")
@options.data_option
def datasets(data: Path) -> None:
    """List the datasets, prepared or not; `snapshot data list` adds what they hold."""
    ready, missing = _datasets(data)
    _print(ready + missing)


@list_names.command(short_help="List the networks, also those from elsewhere.")
@options.plugin_option
def networks() -> None:
    """List the networks: the paper's by their form, then those of torchvision, timm and plug-ins by name."""
    from importlib.util import find_spec

    from snapshot_cli.networks import elsewhere, names

    _print(names.forms())
    for source in names.ELSEWHERE:
        _print([f"{source}:{name}" for name in elsewhere.names(source)])
    if find_spec("timm") is None:
        click.echo("timm is not installed here; type: pip install 'snapshot-cli[timm]'", err=True)


@list_names.command(short_help="List the methods.")
def methods() -> None:
    """List the methods that `method` in a configuration can name."""
    _print(_methods())


def _print(names: list[str]) -> None:
    for name in names:
        click.echo(name)


def _overview(data: Path) -> list[str]:
    """Return the lines of all groups, none longer than WIDTH unless a single name is."""
    from snapshot_cli.config import shipped
    from snapshot_cli.networks import names

    ready, missing = _datasets(data)
    return [
        *_section("experiments", _by_folder(shipped.experiments())),
        *_section("studies", _by_folder(shipped.studies())),
        *_section("datasets", {"prepared": ready, "not prepared": missing}),
        *_section("networks", {"the paper's": names.forms(), "others": [f"{each}:NAME" for each in names.ELSEWHERE]}),
        *_section("methods", {"": _methods()}),
    ]


def _section(heading: str, groups: dict[str, list[str]]) -> list[str]:
    """Return a heading and the lines of its groups; a group without a label begins on the heading's line."""
    lines = [] if "" in groups else [heading]
    for label, names in groups.items():
        first = f"  {label}" if label else heading
        lines += textwrap.wrap(
            "  ".join(names) or "none",
            WIDTH,
            initial_indent=first.ljust(INDENT - 1) + " ",
            subsequent_indent=" " * INDENT,
            break_long_words=False,
            break_on_hyphens=False,
        )
    return lines


def _by_folder(names: list[str]) -> dict[str, list[str]]:
    """Group names by the folder before their last part: cifar10/ has densenet-40-12, resnet-110, ..."""
    groups: dict[str, list[str]] = {}
    for name in names:
        folder, slash, last = name.rpartition("/")
        groups.setdefault(folder + slash, []).append(last)
    return dict(sorted(groups.items()))


def _datasets(data: Path) -> tuple[list[str], list[str]]:
    """Return the names of the prepared datasets and of those of the catalogue that are not."""
    from snapshot_cli.datasets.catalogue import CATALOGUE
    from snapshot_cli.datasets.manifest import prepared

    ready = prepared(data)
    return list(ready), [name for name in CATALOGUE if name not in ready]


def _methods() -> list[str]:
    from snapshot_cli.config.experiment import Method

    return list(get_args(Method))
