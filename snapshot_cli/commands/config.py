"""snapshot config: what a file means."""

from __future__ import annotations

from pathlib import Path

import click

from snapshot_cli.commands import options
from snapshot_cli.commands.sources import file_argument


@click.group(short_help="Show every value of FILE and where it comes from.")
def config() -> None:
    """Show every value of a FILE and where it comes from."""


@config.command()
@file_argument
@options.set_option
@options.data_option
def show(file: Path, sets: tuple[str, ...], data: Path) -> None:
    """Print every value that FILE resolves to, defaults included.

    What is printed is a file of its own, with the same meaning; a study's experiments are spelled out in it.
    """
    from snapshot_cli.config import yaml_file
    from snapshot_cli.config.study import Study

    asked = options.load(file, sets, data)
    resolved = asked.model_dump(mode="json")
    if isinstance(asked, Study):
        del resolved["name"]
        resolved["methods"] = resolved.pop("experiments")
    click.echo(yaml_file.dump(resolved, allow_unicode=True), nl=False)
