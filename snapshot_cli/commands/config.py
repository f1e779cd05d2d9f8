"""snapshot config: what a file means."""

from __future__ import annotations

from pathlib import Path

import click

from snapshot_cli.commands import options


@click.group()
def config() -> None:
    """Look at what a YAML file means."""


@config.command()
@click.argument("file", type=options.FILE)
@options.set_option
@options.data_option
def show(file: Path, sets: tuple[str, ...], data: Path) -> None:
    """Print every value that FILE resolves to, defaults included."""
    import yaml

    asked = options.load(file, sets, data)
    click.echo(yaml.safe_dump(asked.model_dump(mode="json"), sort_keys=False, allow_unicode=True), nl=False)
