"""One process at a time in a run's directory: a lock of the operating system, which ends with its process."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from snapshot_cli.errors import UserError

FILE_NAME = ".lock"
UNSUPPORTED = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}  # by the file system
POLL_SECONDS = 0.1
MAX_BYTES = 1000  # bytes that say who holds it
HELD: set[int] = set()
"""The descriptors of the locks that this process holds."""


def _close_inherited() -> None:
    """Close locks that a forked process inherits: they would outlive the process that took them."""
    while HELD:
        os.close(HELD.pop())


os.register_at_fork(after_in_child=_close_inherited)


@dataclass(frozen=True)
class Holder:
    """The process that a lock file names as its holder."""

    pid: int
    host: str
    since: str
    birth: str = ""
    """What `_birth` says of it."""

    @property
    def gone(self) -> bool:
        """Whether it ran on this host and has ended; unknown, so False, for another host.

        Another process may have its id by now, after a restart of the host or container.
        """
        if self.host != socket.gethostname():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            pass
        return bool(self.birth) and _birth(self.pid) not in ("", self.birth)


def holder(folder: Path) -> Holder | None:
    """Return who holds the lock of a folder according to its file, None if nobody; the lock is not touched."""
    path = folder / FILE_NAME
    try:
        if not path.is_file():  # a pipe would keep whoever reads it
            return None
        with path.open("rb") as file:
            return _parse(file.read(MAX_BYTES))
    except OSError:
        return None


def is_free(folder: Path) -> bool:
    """Return whether the lock of a folder has a file that no process holds; False where the file system cannot tell.

    Of several hosts or containers with one name this tells more than `Holder.gone`.
    """
    try:
        descriptor = os.open(folder / FILE_NAME, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    else:
        return True
    finally:
        os.close(descriptor)


@contextmanager
def hold(folder: Path, *, note: Callable[[str], None] = lambda text: None, timeout: float = 0.0) -> Iterator[None]:
    """Hold the lock of a folder, which is created if missing; call `note` where locks are not supported.

    Raises UserError, which names the holder, if another process still holds it after `timeout` seconds.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE_NAME
    descriptor = _open(path, note, time.monotonic() + timeout)
    HELD.add(descriptor)
    try:
        _write(descriptor, path)
        yield
    finally:
        if descriptor in HELD:  # else this is a forked process
            path.unlink(missing_ok=True)
            HELD.remove(descriptor)
            os.close(descriptor)


def _open(path: Path, note: Callable[[str], None], until: float) -> int:
    """Return the descriptor of the locked file; try again if its last holder deletes it in the meantime."""
    while True:
        if path.is_symlink() or (path.exists() and not path.is_file()):  # writing would reach what is elsewhere
            raise UserError(f"{path}: not a file; delete it")
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            content = b""
            with suppress(OSError):  # an SMB share lets nobody else read a locked file
                content = os.pread(descriptor, MAX_BYTES, 0)
            os.close(descriptor)
            if time.monotonic() < until:
                time.sleep(POLL_SECONDS)
                continue
            raise UserError(f"{path.parent}: {_words(_parse(content))}; wait for it, or stop it") from None
        except OSError as error:
            if error.errno not in UNSUPPORTED:
                os.close(descriptor)
                raise OSError(error.errno, error.strerror, str(path)) from None
            note(f"{path.parent}: no lock on this file system ({error.strerror}); see that no other process trains it")
        with suppress(FileNotFoundError):  # its last holder has just deleted it
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        os.close(descriptor)


def _write(descriptor: int, path: Path) -> None:
    """Write who holds the lock; OSError, which names the file, on a full disk."""
    since = datetime.now(UTC).isoformat(timespec="seconds")
    facts = {"pid": os.getpid(), "host": socket.gethostname(), "since": since, "birth": _birth(os.getpid())}
    try:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, json.dumps(facts).encode())
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None


def _birth(pid: int) -> str:
    """Return the boot of the system and the start of a process after it; "" where the system does not say.

    A process that has ended, and that its parent has not noticed, has none of these.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        state, *numbers = Path(f"/proc/{pid}/stat").read_text("utf-8", errors="replace").rpartition(")")[2].split()
        return "ended" if state in "ZX" else f"{boot} {numbers[18]}"
    except (OSError, ValueError, IndexError):
        return ""


def _parse(content: bytes) -> Holder | None:
    try:
        facts = json.loads(content)
        if not 0 < facts["pid"] < 2**31:  # os.kill takes no more
            return None
        return Holder(int(facts["pid"]), str(facts["host"]), str(facts["since"]), str(facts.get("birth", "")))
    except (ValueError, LookupError, TypeError, OverflowError, RecursionError):
        return None


def _words(holder: Holder | None) -> str:
    if holder is None:
        return "in use by another process"
    return f"in use by process {holder.pid} on {holder.host} since {holder.since}"
