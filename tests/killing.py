"""Train by `snapshot train`, killed with SIGKILL at random moments until it is done: python killing.py CONFIG DATA ...

The trainings are processes of their own, forked from this one, which has imported everything and computed nothing. A
thread of such a process kills it some time after a step, so that moments fall on training and writing, however
busy the machine is.
"""

import json
import os
import random
import signal
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import torch
import torch._dynamo

from snapshot_cli import cli as program
from snapshot_cli.commands import evaluate
from snapshot_cli.datasets import prepare
from snapshot_cli.launch import in_process, progress
from snapshot_cli.run_directory import RunDirectory
from snapshot_cli.training import interpolate, loop

__all__ = ["evaluate", "in_process", "interpolate", "loop", "prepare", "progress"]


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


def wait(pid, seconds):
    """Return the exit status of a process, None where it still runs after some seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.001)
    return None


def kill(words, log, moments):
    """Kill the same training at each of the moments, a step and seconds after its end, then let it end.

    Return its exit code, how often it was killed, and how often in the middle of writing a file.
    """
    killed, halves = 0, 0
    folder = Path(words[words.index("--results-dir") + 1])
    for moment in moments:
        with killing(*moment):
            code = wait(start(words, log), 300)
        if code != -signal.SIGKILL:
            return code, killed, halves
        killed += 1
        halves += any(folder.rglob(".*.tmp"))
    return wait(start(words, log), 300), killed, halves


def killing(step, seconds):
    """Let a process that is forked meanwhile kill itself some seconds after it has come as far as a step."""
    begun = []

    def act(done):
        if done >= step and not begun:
            begun.append(threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGKILL)))
            begun[0].start()

    return before_steps(act)


@contextmanager
def before_steps(act):
    """Let a process that is forked meanwhile call `act` before every step, with the steps that are done."""
    real = loop.step

    def step(training, *arguments):
        act(training.progress.step)
        return real(training, *arguments)

    loop.step = step
    try:
        yield
    finally:
        loop.step = real


def warm_up():
    """Let torch load what it loads late, but run nothing backward: its threads would not live through a fork."""
    parameter = torch.zeros(1, requires_grad=True)
    parameter.grad = torch.zeros(1)
    torch.optim.SGD([parameter], lr=0.1, momentum=0.9, nesterov=True, fused=True).step()


def main(config, data, results, kills, seed):
    words = ["train", config, "--data-dir", data, "--device", "cpu", "--threads", "1"]
    words += ["--checkpoint-seconds", "0", "--results-dir"]
    warm_up()
    code, *_ = kill([*words, f"{results}/unbroken"], f"{results}/unbroken.log", [])
    (metrics,) = Path(results).rglob("unbroken/**/metrics.csv")
    rows, draw = RunDirectory(metrics.parent).metrics(), random.Random(seed)
    steps, seconds = rows[-1]["iteration"], sum(row["seconds"] for row in rows)
    apart, usual = steps / (kills + 1), seconds / steps
    moments = [((k + draw.uniform(0, 0.5)) * apart, draw.uniform(0, 2) * usual) for k in range(kills)]
    ended, killed, halves = kill([*words, f"{results}/killed"], f"{results}/killed.log", moments)
    said = {"codes": [code, ended], "killed": killed, "half files": halves, "seconds": seconds}
    print(json.dumps(said))


if __name__ == "__main__":
    main(*sys.argv[1:4], *map(int, sys.argv[4:]))
