"""Plug-in networks: those of --plugin files and of entry points of installed packages. Imports no torch."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
import traceback
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snapshot_cli.errors import ConfigError

if TYPE_CHECKING:
    from torch import nn

GROUP = "snapshot_cli.networks"
TABLE = "NETWORKS"  # name of the mapping of names to builders in a plug-in file
PACKAGE = Path(__file__).parents[1]

Builder = Callable[..., "nn.Module"]

_builders: dict[str, Builder] = {}
_files: dict[Path, bytes] = {}


def load(path: Path) -> None:
    """Run a plug-in file, once, and register its NETWORKS, a mapping of names to builders.

    Raises ConfigError for a file that is missing, raises, has no such mapping, or repeats the name of another file's
    network.
    """
    path = path.resolve()
    if path in _files:
        return
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"--plugin {path}: cannot be read: {error.strerror}") from None
    name = f"snapshot_plugin_{path.stem}_{hashlib.sha256(bytes(path)).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"--plugin {path}: expected a Python file, with a name that ends in .py")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise ConfigError(f"--plugin {path}: {describe_error(error)}") from error
    builders = _table(getattr(module, TABLE, None), path)
    for taken in builders.keys() & _builders.keys():
        raise ConfigError(f"--plugin {path}: another plug-in also has a network '{taken}'; rename one of them")
    _builders.update(builders)
    _files[path] = content


def files() -> list[Path]:
    """Return the plug-in files that were loaded, in order."""
    return list(_files)


def contents() -> list[tuple[str, bytes]]:
    """Return name and content of the loaded files, to send them to another machine."""
    return [(path.name, content) for path, content in _files.items()]


def names() -> list[str]:
    """Return the names of all plug-in networks, sorted, without running code of a package."""
    return sorted({*_builders, *(point.name for point in entry_points(group=GROUP))})


def find(name: str) -> Builder | None:
    """Return the builder of a network, from a loaded file or else an installed package; None if there is none.

    Raises ConfigError for an entry point that cannot be imported.
    """
    if name in _builders:
        return _builders[name]
    for point in entry_points(group=GROUP, name=name):
        try:
            builder: Builder = point.load()
        except (Exception, SystemExit) as error:
            raise ConfigError(f"plugin:{name}: {point.value} cannot be imported: {describe_error(error)}") from error
        return builder
    return None


def version(name: str) -> str:
    """Return the version of a plug-in: its package and that version, or the sha256 of its file."""
    if name not in _builders:
        point = next(iter(entry_points(group=GROUP, name=name)))
        return f"{point.dist.name} {point.dist.version}" if point.dist else point.value
    file = sys.modules[_builders[name].__module__].__file__
    content = _files.get(Path(file or ""), b"")
    return f"sha256:{hashlib.sha256(content or b''.join(_files.values())).hexdigest()}"


def describe_error(error: BaseException) -> str:
    """Return file, line and message of an error; the line is the deepest one outside torch and this package."""
    lines = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith((str(PACKAGE), "<")) and "/torch/" not in frame.filename
    ]
    if isinstance(error, SyntaxError) and error.filename:
        place = f"{error.filename}:{error.lineno}: "
    else:
        place = f"{lines[-1].filename}:{lines[-1].lineno}: " if lines else ""
    words = " ".join(str(error).split())
    return f"{place}{type(error).__name__}" + (f": {words}" if words else "")


def _table(table: Any, path: Path) -> dict[str, Builder]:
    if not isinstance(table, Mapping) or not table:
        raise ConfigError(
            f"--plugin {path}: expected a mapping {TABLE} of names to builders in it, such as {TABLE} = {{'mlp': mlp}}"
        )
    for name, builder in table.items():
        if not isinstance(name, str) or not callable(builder):
            raise ConfigError(f"--plugin {path}: {TABLE}: expected a name and a callable, given {name!r}: {builder!r}")
    return dict(table)
