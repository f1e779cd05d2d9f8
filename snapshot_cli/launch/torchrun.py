"""What torchrun says of itself in the environment, and one voice for the processes that it started."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from snapshot_cli.errors import ConfigError, UserError

PATIENCE = timedelta(seconds=5)
LOST = (
    "another of the processes that train this run together has ended; what it or torchrun said tells why; the same "
    "command goes on from the last saved state"
)


VARIABLES = (
    "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_RESTART_COUNT",
)  # fmt: skip
LIMITS: dict[str, str | int] = {"RANK": "WORLD_SIZE", "LOCAL_RANK": "LOCAL_WORLD_SIZE", "MASTER_PORT": 65535}


def started() -> bool:
    """Tell whether torchrun started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def check() -> None:
    """Raise ConfigError, naming it, for a variable that torchrun sets and that is missing or no number."""
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
    """Return the number of this process among those that torchrun started, 0 where it did not."""
    return int(os.environ.get("RANK", 0)) if started() else 0


def on_this_host() -> int:
    """Return how many processes torchrun started on this host, 1 where it did not."""
    return int(os.environ["LOCAL_WORLD_SIZE"]) if started() else 1


@contextmanager
def together(*kinds: type[Exception]) -> Iterator[None]:
    """Let only the first process that fails say why: what the others then run into is the same, or its consequence.

    UserError, OSError and some more kinds are what is said. Raises UserError where another process has ended, which
    breaks the connection to it.
    """
    try:
        yield
    except Exception as error:
        lost = started() and _of_a_connection(error)
        if not started() or not (lost or isinstance(error, (UserError, OSError, *kinds))):
            raise
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # torchrun's, to those that are left; this one ends by itself
        if not _first_to_fail():
            sys.exit(getattr(error, "exit_code", UserError.exit_code))
        raise UserError(LOST) if lost else error from None
    if started():
        from torch import distributed

        if distributed.is_initialized():
            distributed.destroy_process_group()


def _first_to_fail() -> bool:
    """Ask the store of torchrun, which outlives the processes; where it does not answer, the first process speaks."""
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

    try:
        store = TCPStore(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), is_master=False, timeout=PATIENCE)
        return store.add(f"snapshot failed {os.environ['TORCHELASTIC_RESTART_COUNT']}", 1) == 1
    except RuntimeError:
        return rank() == 0


def _of_a_connection(error: Exception) -> bool:
    from torch import distributed

    return isinstance(error, distributed.DistError) or (isinstance(error, RuntimeError) and "gloo" in str(error))
