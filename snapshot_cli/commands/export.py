"""snapshot export: write an ensemble as one standalone file, with a model card."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from snapshot_cli.commands import options
from snapshot_cli.commands.sources import sources_argument
from snapshot_cli.config.shipped import results_folder
from snapshot_cli.errors import ConfigError, UserError
from snapshot_cli.words import counted

if TYPE_CHECKING:
    from snapshot_cli.config.experiment import Experiment
    from snapshot_cli.serving.finished import Snapshot

FORMATS = ("pt2", "onnx")


@click.command(short_help="Write an ensemble as one file that runs standalone.")
@sources_argument
@options.set_option
@options.plugin_option
@options.data_option
@options.results_option
@click.option("-o", "output", type=options.FILE, required=True, metavar="OUT", help="Output file, .pt2 or .onnx.")
@click.option(
    "--members",
    default="all",
    show_default=True,
    metavar="WHICH",
    help="all, last:M, numbers such as 1,3,5, or chosen: the best on the images withheld by `holdout: N`.",
)
@click.option(
    "--format", "kind", type=click.Choice(FORMATS), help="pt2 is torch.export's.  [default: by the ending of -o]"
)
def export(
    directories: tuple[Path, ...],
    file: Path | None,
    sets: tuple[str, ...],
    data: Path,
    results: Path | None,
    output: Path,
    members: str,
    kind: str | None,
) -> None:
    """Write an ensemble as one file that runs without this package.

    The file maps raw images, uint8 (batch, 3, side, side), to averaged probabilities and the agreement of the members.
    Open it with torch.export.load or onnxruntime. A model card is written next to it, as JSON and Markdown. Give the
    FILE that was trained, or run directories, whose snapshots form one ensemble in the order given.
    """
    endings = [f".{name}" for name in FORMATS if kind in (None, name)]
    if output.suffix not in endings:
        raise ConfigError(f"-o {output}: expected a name that ends in {' or '.join(endings)}")
    from snapshot_cli.run_directory import RunDirectory
    from snapshot_cli.serving import card, finished
    from snapshot_cli.serving.export import export as write

    if file is None:
        experiment, snapshots = None, finished.all_snapshots([RunDirectory(path) for path in directories])
    else:
        experiment, snapshots = members_of_file(file, sets, data, results)
    facts = write(snapshots, data, output, members=members, experiment=experiment, note=partial(click.echo, err=True))
    error = card.percent(facts["test"]["ensemble"]["top1_error"])
    click.echo(f"{output}: {counted(len(facts['members']), 'member')}, test error {error}")
    if members == "chosen":
        click.echo(card.selection(facts["selection"]))
    click.echo(f"model card: {output}.md, {output}.json")


def members_of_file(
    file: Path, sets: tuple[str, ...], data: Path, results: Path | None
) -> tuple[Experiment | None, list[Snapshot]]:
    """Return the experiment of a file, None for a run, and the members of its first replicate."""
    from snapshot_cli.analysis import scoring
    from snapshot_cli.config import plan
    from snapshot_cli.config.experiment import Run
    from snapshot_cli.config.study import Study
    from snapshot_cli.run_directory import RunDirectory
    from snapshot_cli.serving import finished

    loaded, folder = options.load(file, sets, data), results_folder(file, results)
    if isinstance(loaded, Study):
        raise ConfigError(f"{file}: expected one experiment, given a study; give run directories of it instead")
    missing = scoring.unfinished(plan.runs(loaded), folder)
    if missing:
        run_id = missing[0].run_id
        command = f"{options.train_command(file, sets, results)} --run {run_id}"
        raise UserError(f"{file}: {run_id} is not finished in {folder}; type {command}")
    if isinstance(loaded, Run):
        return None, finished.all_snapshots([RunDirectory.of(loaded, folder)])
    members = plan.cell(loaded).members
    return loaded, [(RunDirectory.of(member.run, folder), member.snapshot) for member in members]
