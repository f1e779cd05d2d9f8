"""snapshot list: what can be named in a configuration."""

from __future__ import annotations

import click

from snapshot_cli.commands import options


@click.group("list", short_help="List what a configuration can name.")
def list_names() -> None:
    """List what a configuration can name, one a line."""


@list_names.command(short_help="List the networks, also those from elsewhere.")
@options.plugin_option
def networks() -> None:
    """List the networks: the paper's by their form, then those of torchvision, timm and plug-ins by name."""
    from importlib.util import find_spec

    from snapshot_cli.networks import elsewhere, names

    for form in names.forms():
        click.echo(form)
    for source in names.ELSEWHERE:
        for name in elsewhere.names(source):
            click.echo(f"{source}:{name}")
    if find_spec("timm") is None:
        click.echo("timm is not installed here; type: pip install 'snapshot-cli[timm]'", err=True)
