"""Train by `snapshot train` in two processes with what torchrun tells them: python two_ranks.py FOLDER DATA.

torchrun itself takes seconds to start and each of its processes as long to import; these are forked from this one,
which has imported everything. What became of them is printed as JSON: exit codes and output.
"""

import json
import os
import shutil
import signal
import sys
from contextlib import contextmanager, nullcontext
from pathlib import Path

from killing import before_steps, start, wait, warm_up
from torch import distributed

from snapshot_cli import lock
from snapshot_cli.launch import train_process

CONFIG = "dataset: tiny\nnetwork: resnet-8\nmethod: snapshot\nbudget: 6\nbatch_size: 16\ncycles: 2\nalpha0: 0.1\n"
ELSEWHERE = "torchvision:resnet18"


class Trainings:
    """Trainings below a folder, each with an output of its own."""

    def __init__(self, folder, data):
        self.folder, self.data, self.found = folder, data, {}
        (folder / "run.yaml").write_text(CONFIG)
        (folder / "wrong.yaml").write_text(CONFIG.replace("resnet-8", "resnet-9"))
        (folder / "elsewhere.yaml").write_text(CONFIG.replace("resnet-8", ELSEWHERE).replace("budget: 6", "budget: 1"))

    def __call__(self, name, *extra, results=None, config="run.yaml", count=2, kill=None):
        """Train in some processes; `kill` is a signal, the rank that gets it, and the step before whose end."""
        log, results = self.folder / f"{name}.log", self.folder / (results or name)
        words = ["train", str(self.folder / config), "--data-dir", self.data, "--results-dir", str(results)]
        words += ["--device", "cpu", "--threads", "1", *extra]
        with environments(count) as each, killing(*kill) if kill else nullcontext():
            pids = [start_in(variables, words, log) for variables in each]
            codes = [wait(pid, 200) for pid in pids]
        self.found[name] = {"codes": codes, "said": log.read_text().splitlines()}


@contextmanager
def environments(count):
    """Yield the variables of every rank, and have torchrun's store behind them."""
    if count == 1:
        yield [{}]
        return
    store = distributed.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    common = {
        "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": store.port,
        "TORCHELASTIC_RUN_ID": "none", "TORCHELASTIC_RESTART_COUNT": 0, "TORCHELASTIC_USE_AGENT_STORE": True,
    }  # fmt: skip
    yield [common | {"RANK": rank, "LOCAL_RANK": rank} for rank in range(count)]


def killing(number, rank, step):
    """Let a process that is forked meanwhile get a signal in the middle of a step, if it has that rank."""

    def act(done):
        if done == step and os.environ["RANK"] == str(rank):
            os.kill(os.getpid(), number)

    return before_steps(act)


def start_in(variables, words, log):
    """Fork a process with some variables in its environment and return its id."""
    before = dict(os.environ)
    os.environ.update({name: str(value) for name, value in variables.items()})
    try:
        return start(words, log)
    finally:
        os.environ.clear()
        os.environ.update(before)


def main(folder, data):
    warm_up()
    train_process.LOCK_TIMEOUT = 0.3
    train = Trainings(Path(folder), data)
    often = ("--checkpoint-seconds", "0")
    train("unbroken")
    train("gentle", "--set", "alpha0=0.01", "--set", "budget=2", "--set", "batch_size=15")
    train("again", results="unbroken")
    train("stopped", *often, kill=(signal.SIGTERM, 1, 8))
    shutil.copytree(train.folder / "stopped", train.folder / "alone")
    train("refused", results="stopped", count=1)
    train("alone", "--other-ranks", count=1)
    train("gone on", results="stopped")
    train("killed", *often, kill=(signal.SIGKILL, 1, 8))
    train("first killed", *often, results="killed", kill=(signal.SIGKILL, 0, 14))
    train("restarted", results="killed")
    train("elsewhere", config="elsewhere.yaml")
    train("elsewhere killed", *often, config="elsewhere.yaml", kill=(signal.SIGKILL, 1, 4))
    train("elsewhere resumed", config="elsewhere.yaml", results="elsewhere killed")
    train("wrong", config="wrong.yaml")
    train("usage", "--threads", "0")
    train("small", "--set", "batch_size=89")
    train("diverging", "--set", "alpha0=1e30")
    (run,) = train.folder.glob("unbroken/runs/*/*")
    held = train.folder / "held" / run.relative_to(train.folder / "unbroken")
    with lock.hold(held):
        train("held")
    print(json.dumps(train.found))


if __name__ == "__main__":
    main(*sys.argv[1:])
