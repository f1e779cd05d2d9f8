"""Shell completion of names: experiments, studies, datasets, keys of --set, and files."""

from __future__ import annotations

import os
from collections.abc import Iterable
from glob import escape, glob
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    Items = list[CompletionItem[str]]
    Text = click.ParamType[str]
else:
    Text = click.ParamType  # not generic before click 8.5


class UserPath(click.Path):
    """A path whose ~ is the home folder also where the shell leaves it: in --data-dir=~/data, in variables."""

    def __init__(self, *, file_okay: bool = True) -> None:
        super().__init__(path_type=Path, file_okay=file_okay)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path."""
        return super().convert(os.path.expanduser(value), param, ctx)


class Source(Text):
    """A YAML file, the bare name of a shipped one (demo/snapshot, demo/table1), or a run directory."""

    name = "file"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name or path; ~ is the home folder, as in UserPath."""
        return os.path.expanduser(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
        """Return the names of shipped experiments and studies, and let the shell add files."""
        from snapshot_cli.config import shipped

        return _beginning([*shipped.experiments(), *shipped.studies()], incomplete, files=True)


def studies(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """Return the bare names of studies, and let the shell add files."""
    from snapshot_cli.config import shipped

    return _beginning(shipped.studies(), incomplete, files=True)


def datasets(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """Return the names of the catalogue's datasets and of those prepared in the folder."""
    from snapshot_cli.datasets.catalogue import CATALOGUE
    from snapshot_cli.datasets.manifest import prepared

    return _beginning([*CATALOGUE, *prepared(ctx.params.get("data") or Path("data"))], incomplete)


def settings(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """Return the keys of an experiment, for --set KEY=VALUE."""
    from snapshot_cli.config.experiment import Experiment

    return _beginning((f"{name}=" for name in Experiment.model_fields), incomplete)


def _beginning(names: Iterable[str], incomplete: str, *, files: bool = False) -> Items:
    """Return the names with a beginning; with `files` also YAML files; if no name fits, an item for the shell.

    That item lets the shell complete files; next to names it would make bash drop the names.
    """
    items = [CompletionItem(name) for name in dict.fromkeys(names) if name.startswith(incomplete)]
    if not files:
        return items
    if not items:
        return [CompletionItem(incomplete, type="file")]
    return [*items, *(CompletionItem(path) for path in sorted(glob(f"{escape(incomplete)}*.y*ml")))]
