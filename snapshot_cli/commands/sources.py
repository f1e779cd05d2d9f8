"""The arguments FILE and RUN_DIR, the same for every command, and the option --config, another way to give FILE."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from snapshot_cli.commands import completion
from snapshot_cli.errors import ConfigError

Command = TypeVar("Command", bound=Callable[..., None])

config_option = click.option("--config", metavar="FILE", type=completion.Source(), help="The same as FILE.")


def file_argument(run: Command) -> Command:
    """Add the argument FILE; the command gets its path as `file`, of a run directory that of its config.yaml."""

    @wraps(run)
    def with_file(*, source: str | None, config: str | None, **given: Any) -> None:
        from snapshot_cli.config.shipped import config_path

        (word,) = _words([] if source is None else [source], config, "a FILE")
        run(file=config_path(word), **given)

    argument = click.argument("source", required=False, metavar="FILE", type=completion.Source())
    return cast("Command", argument(config_option(with_file)))


def sources_argument(run: Command) -> Command:
    """Add the argument FILE or RUN_DIR...; the command gets either `file`, a path, or `directories`, those of runs."""

    @wraps(run)
    def with_sources(*, sources: tuple[str, ...], config: str | None, **given: Any) -> None:
        from snapshot_cli.config.shipped import config_path, is_run_directory

        words = _words(sources, config, "a FILE or run directories")
        directories = tuple(Path(word) for word in words if is_run_directory(word))
        files = [word for word in words if not is_run_directory(word)]
        if files and len(words) > 1:
            raise ConfigError(f"{_verb()}: expected one FILE, or run directories only, given {', '.join(words)}")
        if not files:
            refuse_set(given["sets"])
        run(file=config_path(files[0]) if files else None, directories=directories, **given)

    argument = click.argument("sources", nargs=-1, metavar="FILE|RUN_DIR...", type=completion.Source())
    return cast("Command", argument(config_option(with_sources)))


def refuse_set(sets: Sequence[str]) -> None:
    """Raise ConfigError for --set on a command line without a FILE."""
    if sets:
        raise ConfigError(f"{_verb()}: --set {sets[0]} goes with a FILE, and none is given")


def _words(words: Sequence[str], config: str | None, expected: str) -> Sequence[str]:
    """Return what names the command's sources; ConfigError where nothing does, or both the argument and --config."""
    if words and config is not None:
        raise ConfigError(f"{_verb()}: given both {words[0]} and --config {config}; leave out one of them")
    if config is not None:
        return [config]
    if not words:
        raise ConfigError(f"{_verb()}: expected {expected}, such as demo/snapshot; snapshot list shows the names")
    return words


def _verb() -> str:
    return click.get_current_context().command_path
