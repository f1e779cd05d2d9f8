"""One process at a time in a run's directory: a lock of the operating system's, which ends with its holder."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from snapshot_cli.errors import UserError

FILE_NAME = ".lock"
UNSUPPORTED = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}


@contextmanager
def hold(folder: Path, *, note: Callable[[str], None] = lambda text: None) -> Iterator[None]:
    """Hold the lock of a folder, which is made where it is not there; `note` is told where locks are not supported.

    Raises UserError that says which process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE_NAME
    descriptor = _open(path, note)
    try:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, _myself().encode())
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _open(path: Path, note: Callable[[str], None]) -> int:
    """Return the descriptor of the locked file; again when its last holder deletes it in the meantime."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 1000, 0)
            os.close(descriptor)
            raise UserError(f"{path.parent}: {_words(holder)}; wait for it, or stop it") from None
        except OSError as error:
            if error.errno not in UNSUPPORTED:
                raise
            note(f"{path.parent}: no lock on this file system ({error.strerror}); see that no other process trains it")
        if path.is_file() and os.path.samestat(os.fstat(descriptor), path.stat()):
            return descriptor
        os.close(descriptor)


def _myself() -> str:
    since = datetime.now(UTC).isoformat(timespec="seconds")
    return json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": since})


def _words(holder: bytes) -> str:
    try:
        facts = json.loads(holder)
        return f"in use by process {facts['pid']:d} on {facts['host']} since {facts['since']}"
    except (ValueError, LookupError, TypeError):
        return "in use by another process"
