"""Ctrl-C, SIGTERM, SIGHUP and a launcher's death as a wish to stop, which training fulfils between two steps."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from snapshot_cli.launch import torchrun

CODES = {signal.SIGTERM: 75, signal.SIGHUP: 75, signal.SIGINT: 130}


def leave_when_asked() -> None:
    """Let SIGTERM, SIGHUP and Ctrl-C end the program, whatever it does, with the exit codes of a stopped training."""
    for number in heard():
        signal.signal(number, _leave)


def heard() -> list[signal.Signals]:
    """Return the signals to answer: SIGHUP stays ignored where nohup has ignored it."""
    is_ignored = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    return [number for number in CODES if not (number == signal.SIGHUP and is_ignored)]


def _leave(number: int, frame: FrameType | None) -> None:
    if torchrun.rank() == 0:
        with suppress(OSError):  # the terminal is gone after SIGHUP
            os.write(2, b"stopped; type the same command to resume\n")  # print may be what is interrupted
    sys.exit(CODES[signal.Signals(number)])


class StopRequest:
    """Whether to stop, after a signal or because the launcher is gone; and the first signal."""

    def __init__(self, launcher: int | None = None) -> None:
        """Look out for signals and, where there is a `launcher`, for the end of that process, our parent."""
        self.signal: int | None = None
        self._launcher = launcher

    def __call__(self) -> bool:
        return self.signal is not None or self._launcher not in (None, os.getppid())

    @property
    def exit_code(self) -> int:
        """The exit code of what was stopped."""
        return CODES[signal.SIGINT if self.signal == signal.SIGINT else signal.SIGTERM]

    def note(self, number: int, frame: FrameType | None) -> None:
        """Take note of a signal; a second Ctrl-C leaves at once."""
        if self.signal is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal = self.signal or number


@contextmanager
def stop_request(launcher: int | None = None) -> Iterator[StopRequest]:
    """Turn SIGINT, SIGTERM, SIGHUP and the end of the launcher, if any, into a request while the context lasts."""
    request = StopRequest(launcher)
    before = {number: signal.signal(number, request.note) for number in heard()}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
