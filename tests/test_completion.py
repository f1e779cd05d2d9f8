import os
import pty
import select
import shutil
import subprocess
import sys
import time

import pytest
from click.shell_completion import ShellComplete
from command_line import CHECKOUT, EXPERIMENT, snapshot, write

from snapshot_cli.cli import main

COMPLETE = ShellComplete(main, {}, "snapshot", "_SNAPSHOT_COMPLETE")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SNAPSHOT_DATA_DIR", raising=False)


def completed(*words):
    *before, incomplete = words
    return [(item.type, item.value) for item in COMPLETE.get_completions(before, incomplete)]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["tr"], [("plain", "train")]),
        (["plot", "sch"], [("plain", "schedule")]),
        (["reproduce", "small/pi"], [("plain", "small/pilot")]),
        (["status", "small/pi"], [("plain", "small/pilot")]),
        (["report", "table1", "table3"], [("plain", "table3")]),
        (["train", "demo/sn"], [("plain", "demo/snapshot")]),
        (["eval", "demo/table1"], [("plain", "demo/table1")]),
        (["eval", "--config", "demo/table1"], [("plain", "demo/table1")]),
        (["config", "show", "mine"], [("file", "mine")]),
        (["data", "prepare", "cifar"], [("plain", "cifar10"), ("plain", "cifar100")]),
        (["train", "x", "--set", "netw"], [("plain", "network="), ("plain", "network_options=")]),
        (["train", "--devi"], [("plain", "--device")]),
        (["train", "--device", "c"], [("plain", "cpu"), ("plain", "cuda")]),
    ],
)
def test_what_is_completed(words, found):
    assert completed(*words) == found


def test_studies_and_datasets_of_ones_own(tmp_path, tiny_data):
    write(tmp_path / "configs/studies/mine/first.yaml", {})
    write(tmp_path / "configs/other.yaml", {})
    (tmp_path / "data").symlink_to(tiny_data)
    assert completed("report", "mine/")[0] == ("plain", "mine/first")
    assert completed("train", "oth")[0] == ("plain", "other")
    assert completed("data", "show", "ti") == [("plain", "tiny-imagenet"), ("plain", "tiny")]


def test_a_bare_name_is_a_file(tmp_path):
    file = CHECKOUT / "configs/demo/snapshot.yaml"
    assert f"dataset: digits  # {file}:3\n" in snapshot("config", "show", "demo/snapshot")[1]
    write(tmp_path / "demo/snapshot", EXPERIMENT)
    assert "budget: 4  # demo/snapshot:4\n" in snapshot("config", "show", "demo/snapshot")[1]


def test_a_name_that_is_nothing():
    assert snapshot("config", "show", "demo/snap") == (
        2,
        "",
        "demo/snap: no such file, run directory or name; did you mean 'demo/snapshot'?\n",
    )


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_line_of_the_shells_own_file_works_and_loads_nothing_heavy(shell, tmp_path):
    script = run(f"{shell}_source", tmp_path)
    assert f"_SNAPSHOT_COMPLETE={shell}_complete" in script
    words = {"COMP_WORDS": "snapshot reproduce small/pi", "COMP_CWORD": "small/pi" if shell == "fish" else "2"}
    answer = run(f"{shell}_complete", tmp_path, words)
    assert "small/pilot" in answer
    assert "heavy []" in answer


CODE = """
import sys
from snapshot_cli.cli import main
try:
    main(prog_name="snapshot")
finally:
    print("heavy", sorted({"torch", "pandas", "matplotlib", "scipy", "PIL", "sklearn"} & set(sys.modules)))
"""


def run(instruction, cwd, words=None):
    environment = os.environ | {"_SNAPSHOT_COMPLETE": instruction} | (words or {})
    command = [sys.executable, "-c", CODE]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=True).stdout


SHELLS = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], "source ./completion"),
    "zsh": (["zsh", "-f", "-i"], "autoload -Uz compinit; compinit -u -D; source ./completion"),
    "fish": (["fish", "--no-config", "-i"], "source ./completion"),
}
TYPED = {
    "reproduce small/pi": "reproduce small/pilot",
    "train demo/sna": "train demo/snapshot",
    "train --config demo/sna": "train --config demo/snapshot",
    "train mi": "train mine.yaml",
    "data show tiny-im": "data show tiny-imagenet",
    "train --set alp": "train --set alpha0=",
}


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_in_a_terminal(tmp_path, shell):
    """What is typed, a tab and a line end is run: a stand-in for the program notes its arguments."""
    for name in (shell, "setsid"):
        if shutil.which(name) is None:
            pytest.skip(f"{name} is not installed")
    command, setup = SHELLS[shell]
    (tmp_path / "mine.yaml").touch()
    (tmp_path / "completion").write_text(run(f"{shell}_source", tmp_path))
    (tmp_path / "bin").mkdir()
    program, noted = tmp_path / "bin/snapshot", tmp_path / "noted"
    program.write_text(
        f'#!/bin/sh\n[ -n "$_SNAPSHOT_COMPLETE" ] && exec {sys.executable} -P -m snapshot_cli\necho "$@" >> {noted}\n'
    )
    program.chmod(0o755)
    variables = {"PATH": f"{program.parent}:{os.environ['PATH']}", "TERM": "vt100", "HOME": str(tmp_path)}
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        ["setsid", "--ctty", *command],
        cwd=tmp_path,
        env=os.environ | variables,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        try:
            os.write(ours, f"{setup}\n".encode())
            for number, typed in enumerate(TYPED, start=1):
                os.write(ours, f"snapshot {typed}\t\n".encode())
                wait_for(ours, lambda: noted.exists() and len(noted.read_text().splitlines()) == number)  # noqa: B023
        finally:
            process.kill()
    assert noted.read_text().splitlines() == list(TYPED.values())


def wait_for(terminal, is_done, seconds=20):
    """Read what is shown, so that the shell is not held up, until something is done."""
    until = time.monotonic() + seconds
    while not is_done() and time.monotonic() < until:
        if select.select([terminal], [], [], 0.05)[0]:
            os.read(terminal, 4096)
