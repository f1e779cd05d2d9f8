"""snapshot init: a commented experiment file to start from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from snapshot_cli.commands import completion, options
from snapshot_cli.errors import ConfigError, UserError, command
from snapshot_cli.files import write_atomically

if TYPE_CHECKING:
    from snapshot_cli.config.experiment import Experiment

LARGE = 96  # pixels; from this side on a network for photos is written into the file, not the demo's
PHOTO_NETWORK = "torchvision:resnet18"


@click.command(short_help="Write a commented experiment file to start from.")
@click.argument("file", type=options.FILE, default=Path("experiment.yaml"), metavar="[FILE]")
@click.option(
    "--dataset",
    default="digits",
    show_default=True,
    metavar="NAME",
    shell_complete=completion.datasets,
    help="Dataset to train on: one of `snapshot list datasets`.",
)
@options.data_option
def init(file: Path, dataset: str, data: Path) -> None:
    """Write a commented experiment file to start from.

    FILE is experiment.yaml if you give none; a file that exists is never overwritten. The experiment is that of
    demo/snapshot, on your dataset; for images of 96 pixels or more its network is torchvision:resnet18. All other keys
    are in the file too, with their defaults and what they mean.
    """
    from snapshot_cli.config import commented
    from snapshot_cli.datasets.catalogue import how_to_prepare
    from snapshot_cli.datasets.manifest import prepared

    if file.exists():
        raise UserError(f"{file}: exists already; give another FILE, or delete it")
    train = command("train", file)
    header = [f"Train it: {train}", f"Override a value for one command: {train} --set cycles=3"]
    write_atomically(file, commented.starter(_experiment(dataset, data), header).encode())
    click.echo(f"{file}: one experiment on {dataset}. Next:")
    if dataset not in {"digits", *prepared(data)}:
        click.echo(f"  {how_to_prepare(dataset)}")
    click.echo(f"  {command('estimate', file)}\n  {train}")


def _experiment(dataset: str, data: Path) -> Experiment:
    """Return the experiment demo/snapshot on another dataset; ConfigError for an unknown one."""
    from pydantic import ValidationError

    from snapshot_cli.config.experiment import Experiment
    from snapshot_cli.config.load import load
    from snapshot_cli.config.shipped import config_path
    from snapshot_cli.datasets.manifest import shapes, training_examples

    settings = load(config_path("demo/snapshot")).model_dump(exclude_defaults=True) | {"dataset": dataset}
    known = shapes(data)
    if dataset in known and known[dataset].side >= LARGE:
        settings["network"] = PHOTO_NETWORK
    try:
        return Experiment.model_validate(settings, context={"training_examples": training_examples(data)})
    except ValidationError as error:
        detail = error.errors()[0]
        raise ConfigError(f"--dataset {dataset}: {detail['ctx'].get('error', detail['msg'])}") from None
