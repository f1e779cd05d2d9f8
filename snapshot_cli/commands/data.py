"""snapshot data: prepared datasets."""

from __future__ import annotations

from pathlib import Path

import click

from snapshot_cli.commands import options


@click.group()
def data() -> None:
    """Prepare datasets and look at them."""


@data.command("list")
@options.data_option
def list_(data: Path) -> None:
    """List the datasets that are known and those that are prepared."""
    from rich.console import Console
    from rich.table import Table

    from snapshot_cli.datasets.catalogue import CATALOGUE, facts
    from snapshot_cli.datasets.manifest import prepared

    ready = prepared(data)
    table = Table()
    for heading in ("name", "classes", "size", "train", "test", "prepared", "source"):
        table.add_column(heading, justify="right" if heading in ("classes", "size", "train", "test") else "left")
    for name in [*CATALOGUE, *(name for name in ready if name not in CATALOGUE)]:
        manifest, known = ready.get(name), facts(name)
        if manifest is not None:
            numbers = (len(manifest.classes), manifest.size, manifest.train, manifest.test)
            table.add_row(name, *map(str, numbers), str(data / name), manifest.source)
        elif known is not None:
            numbers = (known.classes, known.size, known.train, known.test)
            table.add_row(name, *map(str, numbers), "no", known.source)
    Console().print(table)


@data.command()
@click.argument("name")
@click.option("--from", "source", type=options.FILE, metavar="PATH", help="Archive, folder or zip with the images.")
@click.option("--size", type=click.IntRange(4), metavar="PIXELS", help="Average the images down to this side.")
@options.data_option
def prepare(name: str, source: Path | None, size: int | None, data: Path) -> None:
    """Turn images into a prepared dataset: arrays, a manifest and a content hash.

    NAME is digits, cifar10 or cifar100, or a name for images of your own in a folder or zip laid out as
    {train,test}/CLASS/FILE. With --size, cifar10 becomes the dataset cifar10-SIZE.
    """
    from snapshot_cli.datasets.prepare import prepare

    manifest = prepare(name, data, source=source, size=size)
    click.echo(
        f"{manifest.name}: {manifest.train:,} training and {manifest.test:,} test images of "
        f"{manifest.size}x{manifest.size} pixels in {len(manifest.classes)} classes: {data / manifest.name}"
    )


@data.command()
@click.argument("name")
@options.data_option
def verify(name: str, data: Path) -> None:
    """Compare a prepared dataset with its manifest, byte for byte."""
    from snapshot_cli.datasets import store

    manifest = store.verify(data, name)
    images = manifest.train + manifest.test
    click.echo(f"{name}: as prepared, {images:,} images, content hash {manifest.content_hash[:12]}")
