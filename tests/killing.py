"""Train by `snapshot train`, killed with SIGKILL at random moments until it is done: python killing.py CONFIG DATA ...

The trainings are processes of their own, forked from this one, which has imported everything and computed nothing: so
moments fall on training and writing, not on the seconds that imports take.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import torch
import torch._dynamo

from snapshot_cli import cli as program
from snapshot_cli.commands import evaluate
from snapshot_cli.datasets import prepare
from snapshot_cli.launch import here, progress
from snapshot_cli.training import interpolate, loop

__all__ = ["evaluate", "here", "interpolate", "loop", "prepare", "progress"]


def start(words, log):
    """Fork a process that is `snapshot WORDS` and return its id."""
    pid = os.fork()
    if pid:
        return pid
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    try:
        program.main(words, prog_name="snapshot")
    except SystemExit as ended:
        os._exit(ended.code or 0)
    os._exit(99)


def wait(pid, seconds, until=lambda: False):
    """Return the exit status of a process, None where it still runs after some seconds or when something is so."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not until():
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.001)
    return None


def kill(words, log, moments):
    """Kill the same training some seconds after it has saved a state of its own, once for each; then let it end.

    Return its exit code, how often it was killed, and how often in the middle of writing a file.
    """
    killed, halves = 0, 0
    folder = Path(words[words.index("--results-dir") + 1])
    for seconds in moments:
        before = saved(folder)
        pid = start(words, log)
        code = wait(pid, 300, until=lambda before=before: saved(folder) != before)
        code = wait(pid, seconds) if code is None else code
        if code is not None:
            return code, killed, halves
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        killed += 1
        halves += any(folder.rglob(".*.tmp"))
    return wait(start(words, log), 300), killed, halves


def saved(folder):
    """Return when each state in a folder was written, in nanoseconds."""
    return [path.stat().st_mtime_ns for path in folder.rglob("resume.pt")]


def warm_up():
    """Let torch load what it loads late, but run nothing backward: its threads would not live through a fork."""
    parameter = torch.zeros(1, requires_grad=True)
    parameter.grad = torch.zeros(1)
    torch.optim.SGD([parameter], lr=0.1, momentum=0.9, nesterov=True, fused=True).step()


def main(config, data, results, kills, seed):
    words = ["train", "--config", config, "--data-dir", data, "--device", "cpu", "--threads", "1"]
    words += ["--checkpoint-seconds", "0", "--results-dir"]
    before = time.monotonic()
    warm_up()
    code, *_ = kill([*words, f"{results}/unbroken"], f"{results}/unbroken.log", [])
    usual = time.monotonic() - before
    draw = random.Random(seed)
    moments = [usual / (kills + 2) * draw.uniform(0, 0.5) for _ in range(kills)]
    ended, killed, halves = kill([*words, f"{results}/killed"], f"{results}/killed.log", moments)
    said = {"codes": [code, ended], "killed": killed, "half files": halves, "seconds": usual}
    print(json.dumps(said))


if __name__ == "__main__":
    main(*sys.argv[1:4], *map(int, sys.argv[4:]))
