"""snapshot predict: classify images with an ensemble."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from snapshot_cli.commands import completion, options
from snapshot_cli.commands.sources import refuse_set
from snapshot_cli.errors import ConfigError, UserError

if TYPE_CHECKING:
    from snapshot_cli.serving.classifier import Classifier


@click.command(short_help="Classify images with a run or an exported file.")
@click.argument("ensemble", type=completion.Source(), metavar="ENSEMBLE")
@click.argument("images", nargs=-1, required=True, type=options.FILE, metavar="IMAGE...")
@options.set_option
@options.plugin_option
@options.data_option
@options.results_option
@click.option(
    "-o", "output", type=options.FILE, metavar="FILE", help="Write the CSV to this file.  [default: print it]"
)
def predict(
    ensemble: str,
    images: tuple[Path, ...],
    sets: tuple[str, ...],
    data: Path,
    results: Path | None,
    output: Path | None,
) -> None:
    """Classify images with a run or an exported ensemble.

    ENSEMBLE is a file written by `snapshot export`, a run directory, or a FILE: an experiment that is trained. IMAGE is
    a file, a folder or a zip. Prints CSV: file, class, probability, and agreement, the share of members that choose the
    same class.

    Images are transformed as the test images of the dataset were: the central square averaged to the right side
    (smaller images are refused), or a resized central crop for streamed datasets.
    """
    from snapshot_cli.formats import table_to_bytes
    from snapshot_cli.serving import answers
    from snapshot_cli.serving.images import list_images

    if output is not None and output.suffix != ".csv" and (output.is_file() or not output.exists()):
        raise ConfigError(f"-o {output}: expected a name that ends in .csv; leave it out to print the answers")
    missing = [path for path in images if not path.exists()]
    if missing:
        raise UserError("\n".join(f"{path}: {_hint(path)}" for path in missing))
    refused: list[str] = []
    classifier = _classifier(ensemble, sets, data, results)
    rows = list(answers.rows(classifier, list_images(images), unreadable=refused.append))
    if rows:
        _deliver(table_to_bytes(rows), output)
    if refused:
        raise UserError(
            "\n".join([*refused, f"{len(refused)} of {len(rows) + len(refused)} images are not classified"])
        )


def _classifier(ensemble: str, sets: tuple[str, ...], data: Path, results: Path | None) -> Classifier:
    """Return the ensemble of an exported file, a run directory or an experiment's file."""
    from snapshot_cli.commands.export import members_of_file
    from snapshot_cli.config.shipped import config_path, is_run_directory
    from snapshot_cli.serving.load import load, of_snapshots

    file = config_path(ensemble)
    if is_run_directory(ensemble) or file.suffix not in (".yaml", ".yml", ""):
        refuse_set(sets)
        return load(Path(ensemble), data)
    _, snapshots = members_of_file(file, sets, data, results)
    return of_snapshots(snapshots, data)


def _hint(path: Path) -> str:
    if str(path) == "-":
        return "no such file; for standard input give /dev/stdin"
    if path.parts[0] in ("http:", "https:"):
        return "a URL; download the image and give the file"
    return "no such file or folder"


def _deliver(table: bytes, output: Path | None) -> None:
    from snapshot_cli.files import write_atomically

    if output is None:
        click.echo(table.decode(), nl=False)
    else:
        write_atomically(output, table)
        click.echo(output)
