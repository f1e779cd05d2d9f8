"""Ctrl-C, SIGTERM, SIGHUP and the launcher's death as requests to stop; training answers them between two steps."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from snapshot_cli.launch import torchrun

EXIT_CODES = {signal.SIGTERM: 75, signal.SIGHUP: 75, signal.SIGINT: 130}


def exit_on_signals() -> None:
    """Let SIGTERM, SIGHUP and Ctrl-C end the program at once, with the exit codes of a stopped training."""
    for number in handled():
        signal.signal(number, _exit)


def keep_exit_code(code: int) -> None:
    """Let signals that come after all work end the program at once with its exit code, without words of a stop."""
    for number in handled():
        signal.signal(number, lambda number, frame: os._exit(code))


def handled() -> list[signal.Signals]:
    """Return the signals to handle; SIGHUP stays ignored under nohup."""
    is_ignored = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    return [number for number in EXIT_CODES if not (number == signal.SIGHUP and is_ignored)]


def _exit(number: int, frame: FrameType | None) -> None:
    if torchrun.rank() == 0:
        with suppress(OSError):  # the terminal is gone after SIGHUP
            os.write(2, b"stopped; type the same command again\n")  # print may be what is interrupted
    sys.exit(EXIT_CODES[signal.Signals(number)])


class StopRequest:
    """Whether to stop, after a signal or the end of the launcher; and the first signal."""

    def __init__(self, launcher: int | None = None) -> None:
        """Watch signals and, if given, the process `launcher`, our parent."""
        self.signal: int | None = None
        self._launcher = launcher

    def __call__(self) -> bool:
        return self.signal is not None or self._launcher not in (None, os.getppid())

    @property
    def exit_code(self) -> int:
        """The exit code of a program that stopped on this request."""
        return EXIT_CODES[signal.SIGINT if self.signal == signal.SIGINT else signal.SIGTERM]

    def note(self, number: int, frame: FrameType | None) -> None:
        """Record a signal; a second Ctrl-C raises KeyboardInterrupt at once."""
        if self.signal is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal = self.signal or number


@contextmanager
def stop_request(launcher: int | None = None) -> Iterator[StopRequest]:
    """Turn SIGINT, SIGTERM, SIGHUP and the end of the launcher, if any, into a request while the context lasts."""
    request = StopRequest(launcher)
    before = {number: signal.signal(number, request.note) for number in handled()}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
