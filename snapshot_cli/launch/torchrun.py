"""The environment that torchrun sets, and one error message for all processes that it started."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from snapshot_cli.errors import ConfigError, UserError

STORE_TIMEOUT = timedelta(seconds=5)
LOST = (
    "another process of this run has exited; its output, or torchrun's, says why; type the same command to resume from "
    "the last checkpoint"
)


VARIABLES = (
    "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_RESTART_COUNT",
)  # fmt: skip
LIMITS: dict[str, str | int] = {"RANK": "WORLD_SIZE", "LOCAL_RANK": "LOCAL_WORLD_SIZE", "MASTER_PORT": 65535}


def started() -> bool:
    """Return whether torchrun started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def check() -> None:
    """Raise ConfigError for a variable of torchrun's that is missing or not a number in its range."""
    if not started():
        return
    missing = [name for name in VARIABLES if name not in os.environ]
    remedy = "start all processes with torchrun, or unset TORCHELASTIC_RUN_ID"
    if missing:
        raise ConfigError(f"torchrun: TORCHELASTIC_RUN_ID is set, but not {', '.join(missing)}; {remedy}")
    for name in VARIABLES:
        if name != "MASTER_ADDR" and not os.environ[name].isdecimal():
            raise ConfigError(f"torchrun: {name}: expected a number, given '{os.environ[name]}'; {remedy}")
    for name, limit in LIMITS.items():
        most = int(os.environ[limit]) - 1 if isinstance(limit, str) else limit
        if int(os.environ[name]) > most:
            raise ConfigError(f"torchrun: {name}: expected at most {most}, given {os.environ[name]}; {remedy}")


def rank() -> int:
    """Return the rank of this process, 0 without torchrun."""
    return int(os.environ.get("RANK", 0)) if started() else 0


def local_world_size() -> int:
    """Return the number of processes that torchrun started on this host, 1 without torchrun."""
    return int(os.environ["LOCAL_WORLD_SIZE"]) if started() else 1


@contextmanager
def report_once(*kinds: type[Exception]) -> Iterator[None]:
    """Let only the first process that fails report its error; the others fail for the same reason or because of it.

    Applies to UserError, OSError and the given kinds. Raises UserError if the connection to another process broke.
    """
    try:
        yield
    except Exception as error:
        lost = started() and _is_connection_error(error)
        if not started() or not (lost or isinstance(error, (UserError, OSError, *kinds))):
            raise
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # torchrun sends it to the remaining processes; this one exits
        if not _first_to_fail():
            sys.exit(getattr(error, "exit_code", UserError.exit_code))
        raise UserError(LOST) if lost else error from None
    if started():
        from torch import distributed

        if distributed.is_initialized():
            distributed.destroy_process_group()


def _first_to_fail() -> bool:
    """Ask torchrun's store, which outlives the processes; if it does not answer, rank 0 reports."""
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

    try:
        address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        store = TCPStore(address, port, is_master=False, timeout=STORE_TIMEOUT)
        return store.add(f"snapshot failed {os.environ['TORCHELASTIC_RESTART_COUNT']}", 1) == 1
    except RuntimeError:
        return rank() == 0


def _is_connection_error(error: Exception) -> bool:
    from torch import distributed

    return isinstance(error, distributed.DistError) or (isinstance(error, RuntimeError) and "gloo" in str(error))
