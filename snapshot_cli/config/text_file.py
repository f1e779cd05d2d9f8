"""The text of a configuration: of a file, or of a pipe, as `snapshot train <(command)` and /dev/stdin give one."""

from __future__ import annotations

import os
import select
import stat
from pathlib import Path

from snapshot_cli.config import shipped, yaml_file
from snapshot_cli.errors import ConfigError

PATIENCE = 5.0  # seconds for somebody to open the other end of a pipe


def read(path: Path) -> str:
    """Return the text of a file or pipe, not much more of it than a configuration may have.

    Raises ConfigError, naming it, for what cannot be read and for a pipe that nobody writes into.
    """
    try:
        with open(_opened(path), encoding="utf-8") as file:
            return file.read(yaml_file.MAX_CHARACTERS + 1)
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file{shipped.nearest(path)}") from None
    except IsADirectoryError:
        raise ConfigError(f"{path}: expected a YAML file, given a folder that is no run directory") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not YAML: expected text in UTF-8") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None


def _opened(path: Path) -> int:
    """Return a descriptor to read from; opening a pipe the usual way waits for a writer, be there one or not."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        if stat.S_ISFIFO(os.fstat(descriptor).st_mode) and not _has_writer(descriptor):
            raise ConfigError(f"{path}: a pipe that nobody writes into; give a file, or start what writes first")
        os.set_blocking(descriptor, True)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _has_writer(descriptor: int) -> bool:
    """Tell whether somebody has written into a pipe, or has it open to do so, after some seconds at most."""
    waiting = select.poll()
    waiting.register(descriptor, select.POLLIN)
    if waiting.poll(PATIENCE * 1000):
        return True
    try:
        os.read(descriptor, 1)  # where nobody has it open, this is its end
    except BlockingIOError:
        return True
    return False
