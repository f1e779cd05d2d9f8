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

MAX_MESSAGE_BYTES = 2**20
POLL_SECONDS = 0.05


def main() -> None:
    """Import what a training needs, then serve the worker that started this process."""
    signals.exit_on_signals()
    preload()
    serve(socket.socket(fileno=0), run_command)


def preload() -> None:
    """Import what `snapshot train` needs without starting a thread: a fork copies only the calling thread.

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
    forked process. If the channel is closed while that runs, this process exits, and the forked one stops because its
    launcher is gone.
    """
    children: list[int] = []  # the running one, if any
    os.environ[train_process.LAUNCHER] = str(os.getpid())
    _forward_sigterm(children)
    while True:
        message, logs, _, _ = socket.recv_fds(channel, MAX_MESSAGE_BYTES, 1)
        if not message:
            return
        signal.pthread_sigmask(signal.SIG_BLOCK, signals.EXIT_CODES)
        pid = os.fork()
        if pid == 0:
            channel.detach()
            _set_up_child(json.loads(message), logs[0])
            run()
            return
        children.append(pid)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals.EXIT_CODES)
        os.close(logs[0])
        while not (ended := os.waitpid(pid, os.WNOHANG))[0]:
            if select.select([channel], [], [], POLL_SECONDS)[0]:
                return
        children.clear()
        channel.send(str(os.waitstatus_to_exitcode(ended[1])).encode())


def _forward_sigterm(children: Sequence[int]) -> None:
    """Forward SIGTERM to the child, if any; ignore Ctrl-C and SIGHUP, which a terminal sends to the child as well."""

    def forward(number: int, frame: FrameType | None) -> None:
        if not children:
            sys.exit(signals.EXIT_CODES[signal.SIGTERM])
        with suppress(ProcessLookupError):
            os.kill(children[0], number)

    for number in signals.handled():
        signal.signal(number, forward if number == signal.SIGTERM else lambda number, frame: None)


def _set_up_child(arguments: Sequence[str], log: int) -> None:
    """Set arguments, input, output and signals as in a process started for this run alone."""
    with open(os.devnull) as devnull:
        os.dup2(devnull.fileno(), 0)  # replaces the channel
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    sys.argv[1:] = arguments
    signals.exit_on_signals()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, signals.EXIT_CODES)


if __name__ == "__main__":
    main()
