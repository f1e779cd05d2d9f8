"""Import everything once, then train each run in a forked process: imports take as long as a short run.

`launch/worker.py` starts this program with a socket as its standard input.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import FrameType

from snapshot_cli.__main__ import main as run_command
from snapshot_cli.launch import signals, train_process

LARGEST = 2**20  # bytes of a message
POLL_SECONDS = 0.05


def main() -> None:
    """Import what a training needs, then serve the process that started this one."""
    signals.leave_when_asked()
    preload()
    serve(socket.socket(fileno=0), run_command)


def preload() -> None:
    """Import what `snapshot train` needs, and start no thread: a fork copies only the calling one.

    torch would import `torch._dynamo` at the first step of an optimizer.
    """
    import torch._dynamo

    from snapshot_cli import cli
    from snapshot_cli.analysis import scoring
    from snapshot_cli.commands import evaluate
    from snapshot_cli.config import load
    from snapshot_cli.launch import in_process, progress
    from snapshot_cli.reporting import terminal
    from snapshot_cli.training import interpolate, loop

    _ = (torch, cli, scoring, evaluate, load, in_process, progress, terminal, interpolate, loop)


def serve(channel: socket.socket, run: Callable[[], None]) -> None:
    """Call `run` in a forked process for each message, and answer with its exit code, until the channel is closed.

    A message holds the arguments of the command line and, as a file descriptor, the log. SIGTERM is passed on to the
    forked process. When the channel is closed meanwhile, this process ends, and the forked one stops as its launcher is
    gone.
    """
    children: list[int] = []  # the one that runs, if any
    os.environ[train_process.LAUNCHER] = str(os.getpid())
    _listen(children)
    while True:
        message, logs, _, _ = socket.recv_fds(channel, LARGEST, 1)
        if not message:
            return
        signal.pthread_sigmask(signal.SIG_BLOCK, signals.CODES)
        pid = os.fork()
        if pid == 0:
            channel.detach()
            _become(json.loads(message), logs[0])
            run()
            return
        children.append(pid)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals.CODES)
        os.close(logs[0])
        while not (ended := os.waitpid(pid, os.WNOHANG))[0]:
            if select.select([channel], [], [], POLL_SECONDS)[0]:
                return
        children.clear()
        channel.send(str(os.waitstatus_to_exitcode(ended[1])).encode())


def _listen(children: Sequence[int]) -> None:
    """Pass SIGTERM on, and leave Ctrl-C and SIGHUP to the forked process, which the terminal tells as well."""

    def pass_on(number: int, frame: FrameType | None) -> None:
        if not children:
            sys.exit(signals.CODES[signal.SIGTERM])
        with suppress(ProcessLookupError):
            os.kill(children[0], number)

    for number in signals.heard():
        signal.signal(number, pass_on if number == signal.SIGTERM else lambda number, frame: None)


def _become(arguments: Sequence[str], log: int) -> None:
    """Take arguments, log and signals as a process that was started for one run, which has no input."""
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)  # in place of the channel
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    sys.argv[1:] = arguments
    signals.leave_when_asked()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, signals.CODES)


if __name__ == "__main__":
    main()
