"""snapshot data: prepared datasets."""

from __future__ import annotations

from pathlib import Path

import click

from snapshot_cli.commands import options


@click.group()
def data() -> None:
    """Prepare, list and verify datasets."""


@data.command("list")
@options.data_option
def list_(data: Path) -> None:
    """List the datasets, prepared or not."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from snapshot_cli.datasets.catalogue import CATALOGUE, facts
    from snapshot_cli.datasets.manifest import prepared

    ready = prepared(data)
    table = Table(box=SIMPLE_HEAD)
    for heading in ("name", "classes", "size", "train", "test", "prepared", "source"):
        number = heading in ("classes", "size", "train", "test")
        table.add_column(heading, justify="right" if number else "left")
    for name in [*CATALOGUE, *(name for name in ready if name not in CATALOGUE)]:
        manifest, known = ready.get(name), facts(name)
        if manifest is not None:
            numbers = (len(manifest.classes), manifest.size, f"{manifest.train:,}", f"{manifest.test:,}")
            table.add_row(name, *map(str, numbers), str(data / name), manifest.source)
        elif known is not None:
            numbers = (known.classes, known.size, f"{known.train:,}", f"{known.test:,}")
            table.add_row(name, *map(str, numbers), "no", known.source)
    options.show([table])


@data.command(short_help="Turn images into a prepared dataset.")
@click.argument("name")
@click.option("--from", "source", type=options.FILE, metavar="PATH", help="Archive, folder or zip that has the images.")
@click.option(
    "--size", type=click.IntRange(4), metavar="PIXELS", help="Average the images down to this side, a multiple of 4."
)
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


@data.command(short_help="Check a prepared dataset, byte for byte.")
@click.argument("name")
@options.data_option
def verify(name: str, data: Path) -> None:
    """Compare a prepared dataset with its manifest, byte for byte."""
    from snapshot_cli.datasets import store

    manifest = store.verify(data, name)
    images = manifest.train + manifest.test
    click.echo(f"{name}: as prepared, {images:,} images, content hash {manifest.content_hash[:12]}")
