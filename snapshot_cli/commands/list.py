"""snapshot list: the names that a file or the command line can use."""

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
    """List the names that a file or a command can use.

    Without a command: experiments, studies, datasets, networks and methods on one screen. With one: its names, one per
    line.
    """
    if context.invoked_subcommand is None:
        click.echo("\n".join(_overview(data)))
    elif context.get_parameter_source("data") is ParameterSource.COMMANDLINE:
        raise click.UsageError("--data-dir goes behind the command: snapshot list datasets --data-dir D")


@list_names.command(short_help="List experiments.")
def experiments() -> None:
    """List the experiments that come with the program and those in ./configs, as `snapshot train` takes them."""
    from snapshot_cli.config import shipped

    _print(shipped.experiments())


@list_names.command(short_help="List studies.")
def studies() -> None:
    """List the studies that come with the program and those in ./configs, as `snapshot reproduce` takes them."""
    from snapshot_cli.config import shipped

    _print(shipped.studies())


@list_names.command(short_help="List datasets, prepared or not.")
@options.data_option
def datasets(data: Path) -> None:
    """List the datasets, prepared or not. `snapshot data list` also shows their sizes and sources."""
    ready, missing = _datasets(data)
    _print(ready + missing)


@list_names.command(short_help="List networks: the paper's, torchvision's, timm's, plug-ins'.")
@options.plugin_option
def networks() -> None:
    """List the networks: the paper's as patterns, then those of torchvision, timm and plug-ins by name."""
    from importlib.util import find_spec

    from snapshot_cli.networks import external, names

    _print(names.forms())
    for source in names.SOURCES:
        _print([f"{source}:{name}" for name in external.names(source)])
    if find_spec("timm") is None:
        click.echo("timm is not installed here; type: pip install 'snapshot-cli[timm]'", err=True)


@list_names.command(short_help="List methods.")
def methods() -> None:
    """List the values of `method` in a file."""
    _print(_methods())


def _print(names: list[str]) -> None:
    for name in names:
        click.echo(name)


def _overview(data: Path) -> list[str]:
    """Return the lines of all groups, at most WIDTH long unless a single name is longer."""
    from snapshot_cli.config import shipped
    from snapshot_cli.networks import names

    ready, missing = _datasets(data)
    return [
        *_section("experiments", _by_folder(shipped.experiments())),
        *_section("studies", _by_folder(shipped.studies())),
        *_section("datasets", {"prepared": ready, "not prepared": missing}),
        *_section("networks", {"the paper's": names.forms(), "others": [f"{name}:NAME" for name in names.SOURCES]}),
        *_section("methods", {"": _methods()}),
    ]


def _section(heading: str, groups: dict[str, list[str]]) -> list[str]:
    """Return a heading and its groups; a group without a label starts on the line of the heading."""
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
    """Return the names of the prepared datasets, and of the catalogue's others."""
    from snapshot_cli.datasets.catalogue import CATALOGUE
    from snapshot_cli.datasets.manifest import prepared

    ready = prepared(data)
    return list(ready), [name for name in CATALOGUE if name not in ready]


def _methods() -> list[str]:
    from snapshot_cli.config.experiment import Method

    return list(get_args(Method))
