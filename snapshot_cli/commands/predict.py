"""snapshot predict: what an ensemble says of images."""

from __future__ import annotations

from pathlib import Path

import click

from snapshot_cli.commands import options
from snapshot_cli.errors import UserError


@click.command(short_help="Classify images with a run or an exported file.")
@click.argument("ensemble", type=options.FILE, metavar="ENSEMBLE")
@click.argument("images", nargs=-1, required=True, type=options.FILE, metavar="IMAGE...")
@options.plugin_option
@options.data_option
@click.option("-o", "output", type=options.FILE, metavar="FILE", help="Write the CSV there.  [default: print it]")
def predict(ensemble: Path, images: tuple[Path, ...], data: Path, output: Path | None) -> None:
    """Classify images with a run or an exported ensemble.

    ENSEMBLE is what snapshot export has written, or the directory of a finished run. IMAGE is a file, or a folder with
    all that is in it. Prints CSV: the file, its class, the probability of that, and the members' agreement, the share
    of members that choose the same class. Images are transformed as the test images of the dataset were: the central
    square averaged to the right size, smaller images refused; of streamed datasets a resized central crop.
    """
    from snapshot_cli.formats import table_to_bytes
    from snapshot_cli.serving import answers
    from snapshot_cli.serving.images import found
    from snapshot_cli.serving.load import load

    missing = [path for path in images if not path.exists()]
    if missing:
        raise UserError("\n".join(f"{path}: no such file or folder" for path in missing))
    refused: list[str] = []
    rows = list(answers.rows(load(ensemble, data), found(images), unreadable=refused.append))
    if rows:
        _deliver(table_to_bytes(rows), output)
    if refused:
        raise UserError(
            "\n".join([*refused, f"{len(refused)} of {len(rows) + len(refused)} images are not classified"])
        )


def _deliver(table: bytes, output: Path | None) -> None:
    from snapshot_cli.files import write_atomically

    if output is None:
        click.echo(table.decode(), nl=False)
    else:
        write_atomically(output, table)
        click.echo(output)
