"""The process of a slot: a fork server that trains one run after another."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from snapshot_cli.launch import train_process

MAX_ANSWER_BYTES = 100  # an exit code


class Worker:
    """Trains one run at a time; after its process was killed, the next run starts a new one."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        """Prepare a worker with variables added to the environment; its process starts with the first run."""
        self._variables = variables
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, arguments: Sequence[str], directory: Path) -> None:
        """Start `snapshot ARGUMENTS`, whose output goes to the log in a run's directory.

        Raises OSError if the log cannot be opened or no process can be started.
        """
        with train_process.open_log(directory) as log:
            if self._process is not None and self._process.poll() is not None:  # killed between two runs
                self.close()
            if self._process is None:
                self._process, self._channel = _start(self._variables, log)
            socket.send_fds(self._channel, [json.dumps(list(arguments)).encode()], [log.fileno()])

    def fileno(self) -> int:
        """Return the file descriptor for select(); it is readable once the run has ended."""
        return self._channel.fileno()

    def poll(self) -> int | None:
        """Return the exit code of the run that ended, negative for a signal; None while it is trained."""
        try:
            answer = self._channel.recv(MAX_ANSWER_BYTES, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return None
        except ConnectionResetError:
            answer = b""
        if answer:
            return int(answer)
        return self.close()

    def terminate(self) -> None:
        """Ask the run to save a checkpoint and stop; repeated calls do no harm."""
        if self._process is not None:
            self._process.terminate()

    def close(self) -> int | None:
        """End the process and return its exit code, None if there is none; a run in training is stopped."""
        if self._process is None:
            return None
        self._channel.close()
        code, self._process = self._process.wait(), None
        return code


def _start(variables: Mapping[str, str], log: BinaryIO) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """Start the process and return it with the channel to it."""
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    command = [sys.executable, "-P", "-m", "snapshot_cli.fork_server"]
    with there:
        try:
            process = subprocess.Popen(
                command, stdin=there.fileno(), stdout=log, stderr=log, env=os.environ | variables
            )
        except OSError:
            here.close()
            raise
    return process, here
