"""Read the text of a configuration from a file or a pipe, such as `snapshot train <(command)` or /dev/stdin."""

from __future__ import annotations

import os
import select
import stat
from pathlib import Path

from snapshot_cli.config import shipped, yaml_file
from snapshot_cli.errors import ConfigError

PIPE_TIMEOUT = 5.0  # seconds to wait for a writer


def read(path: Path) -> str:
    """Return the text of a file or pipe, at most one character more than a configuration may have.

    Raises ConfigError for a file that cannot be read and for a pipe without a writer.
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
    """Return a file descriptor; opening a pipe in blocking mode would wait for a writer forever."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        if stat.S_ISFIFO(os.fstat(descriptor).st_mode) and not _has_writer(descriptor):
            raise ConfigError(f"{path}: a pipe without a writer; give a file, or start the writer first")
        os.set_blocking(descriptor, True)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _has_writer(descriptor: int) -> bool:
    """Return whether a pipe has content or a writer; wait some seconds for them."""
    waiting = select.poll()
    waiting.register(descriptor, select.POLLIN)
    if waiting.poll(PIPE_TIMEOUT * 1000):
        return True
    try:
        os.read(descriptor, 1)  # without a writer, this returns the end of the file
    except BlockingIOError:
        return True
    return False
