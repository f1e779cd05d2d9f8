"""snapshot data: prepared datasets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from snapshot_cli.commands import completion, options
from snapshot_cli.errors import visible

if TYPE_CHECKING:
    from snapshot_cli.datasets.catalogue import Facts
    from snapshot_cli.datasets.listing import TestFrom
    from snapshot_cli.datasets.manifest import Manifest

VERSIONS = 4  # augmented versions of an image on a sheet


@click.group()
def data() -> None:
    """Prepare, list, show and verify datasets."""


@data.command("list", short_help="List all datasets, prepared or not.")
@options.data_option
def list_(data: Path) -> None:
    """List all datasets, prepared or not: classes, image side, counts, size on disk, source and licence."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from snapshot_cli.datasets.catalogue import CATALOGUE
    from snapshot_cli.datasets.manifest import prepared, unreadable

    ready = prepared(data)
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in ("name", "classes", "size", "train", "test", "prepared", "on disk"):
        number = heading in ("classes", "size", "train", "test", "on disk")
        table.add_column(heading, justify="right" if number else "left")
    rows = [
        _row(name, ready.get(name), data / name)
        for name in [*CATALOGUE, *(name for name in ready if name not in CATALOGUE)]
    ]
    for *columns, _, _ in rows:
        table.add_row(*columns)
    options.show([table])
    for name, *_, source, licence in rows:
        click.echo(visible("; ".join(filter(None, (f"{name}: {source}", licence)))))
    for error in unreadable(data):
        click.echo(f"Warning: {visible(str(error))}", err=True)


def _row(name: str, manifest: Manifest | None, folder: Path) -> tuple[str, ...]:
    from snapshot_cli.datasets.catalogue import facts

    published = facts(name)
    licence = published.licence if published else ""
    if manifest is not None:
        numbers = (len(manifest.classes), manifest.size, f"{manifest.train:,}", f"{manifest.test:,}")
        size = sum(file.stat().st_size for file in folder.iterdir() if file.is_file())
        return name, *map(str, numbers), "yes", f"{size / 1e6:,.1f} MB", manifest.source, licence
    assert published is not None  # a name is the catalogue's or it has a manifest
    numbers = (published.classes, published.size, f"{published.train:,}", f"{published.test:,}")
    return name, *map(str, numbers), "no", "", published.source, licence


@data.command(short_help="Turn images into a prepared dataset.")
@click.argument("name", shell_complete=completion.datasets)
@click.option("--from", "source", type=options.FILE, metavar="PATH", help="Archive, folder or zip with the images.")
@click.option(
    "--size", type=click.IntRange(4), metavar="PIXELS", help="Average the images down to this side, a multiple of 4."
)
@click.option(
    "--streamed/--resident",
    default=None,
    help="For your own images: read files during training, or keep all images on the device.  [default: by size]",
)
@click.option(
    "--test-from",
    type=click.Choice(["test", "val"]),
    help="Split to use as the test set.  [default: test if it has class folders, else val]",
)
@click.option(
    "--test-share",
    type=float,
    metavar="SHARE",
    help="Share of every class to draw as test images, if there is no test split; such as 0.2.",
)
@click.option(
    "--split-seed", type=click.IntRange(0), default=0, show_default=True, metavar="N", help="Seed of that draw."
)
@click.option(
    "--labels",
    type=options.FILE,
    metavar="FILE",
    help="Table (CSV) with the columns file, class and, optionally, split.",
)
@click.option("--skip-broken", is_flag=True, help="Leave out unreadable files and list them in the manifest.")
@click.option("--replace", "overwrite", is_flag=True, help="Replace other images already prepared under this name.")
@options.data_option
def prepare(
    name: str,
    source: Path | None,
    size: int | None,
    streamed: bool | None,
    test_from: TestFrom | None,
    test_share: float | None,
    split_seed: int,
    labels: Path | None,
    skip_broken: bool,
    overwrite: bool,
    data: Path,
) -> None:
    """Turn images into a prepared dataset: arrays, a manifest and a content hash.

    NAME is a name from `snapshot data list`, or any new name for your own images. These are a folder or zip with
    {train,test}/CLASS/FILE (or val), CLASS/FILE with --test-share, images with --labels, or Tiny ImageNet's layout.
    With --size, cifar10 becomes the dataset cifar10-SIZE.

    ImageNet and large folders are streamed: only an index is stored, the files stay in place, and --size is the side of
    the crops (default 224).

    Without --from, the official files are downloaded to D/.downloads; an interrupted download resumes. The environment
    variable SNAPSHOT_MIRROR sets another URL. --from reads local files: the official archive, packed or extracted,
    or the same images as {train,test}/CLASS/FILE.
    """
    from snapshot_cli.commands.data_progress import Downloads, files_read
    from snapshot_cli.datasets.download import fetch_official
    from snapshot_cli.datasets.listing import Choices
    from snapshot_cli.datasets.prepare import prepare

    def fetch(published: Facts) -> Path:
        with Downloads() as progress:
            return fetch_official(published, data, progress=progress)

    notes: list[str] = []
    with files_read() as progress:
        manifest = prepare(
            name, data, source=source, size=size, fetch=fetch, streamed=streamed, overwrite=overwrite,
            choices=Choices(test_from, test_share, split_seed, labels, skip_broken),
            progress=progress, note=notes.append,
        )  # fmt: skip
    for text in notes:
        click.echo(visible(text), err=True)
    click.echo(
        f"{manifest.name}: {manifest.train:,} training and {manifest.test:,} test images of "
        f"{manifest.size}x{manifest.size} pixels in {len(manifest.classes)} classes: {data / manifest.name}"
    )


@data.command(short_help="Draw a sheet of training images.")
@click.argument("name", shell_complete=completion.datasets)
@click.option("-o", "--output", type=options.FILE, required=True, metavar="FILE", help="A .png, .svg or .pdf.")
@click.option(
    "--images",
    type=click.IntRange(1, 300),
    default=30,
    show_default=True,
    metavar="N",
    help="Number of images, spread over all classes.",
)
@options.data_option
def show(name: str, output: Path, images: int, data: Path) -> None:
    """Draw a labelled sheet of training images, stored and augmented.

    Use it to check labels, colours, crops and mirroring.
    """
    from snapshot_cli.datasets import store

    options.check_drawable(output)
    dataset = store.load(data, name)

    from snapshot_cli.datasets import examples
    from snapshot_cli.reporting import save
    from snapshot_cli.reporting.contact_sheet import Example, draw

    manifest = dataset.manifest
    rows = examples.rows_of_classes(dataset.train_labels, images)
    versions = examples.augmented(dataset, rows, versions=VERSIONS)
    drawn = [
        Example(manifest.classes[dataset.train_labels[row]], examples.stored(dataset, row), tuple(versions[:, place]))
        for place, row in enumerate(rows)
    ]
    title = f"{name}: {len(rows)} of {manifest.train:,} training images, {manifest.size}x{manifest.size}"
    save.save(draw(drawn, title=title), output)
    click.echo(f"{output}: {len(rows)} training images of {name}, augmented {VERSIONS} times")


@data.command(short_help="Check a prepared dataset, byte for byte.")
@click.argument("name", shell_complete=completion.datasets)
@options.data_option
def verify(name: str, data: Path) -> None:
    """Compare a prepared dataset with its manifest, byte for byte; for streamed datasets also every image file."""
    from snapshot_cli.commands.data_progress import files_read
    from snapshot_cli.datasets import store

    manifest = store.verify(data, name)
    images = manifest.train + manifest.test
    with files_read() as progress:
        store.verify_files(data, name, progress)
    click.echo(f"{name}: as prepared, {images:,} images, content hash {manifest.content_hash[:12]}")
    for phrase in manifest.duplicates.phrases().values() if manifest.duplicates else ():
        click.echo(phrase)
