import os
import subprocess
import sys

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


BASH = """
import os, pty, select, sys, time
pid, terminal = pty.fork()
if pid == 0:
    os.execvp("bash", ["bash", "--norc", "--noprofile", "-i"])
def said(seconds):
    text, until = b"", time.monotonic() + seconds
    while time.monotonic() < until:
        if select.select([terminal], [], [], 0.1)[0]:
            text += os.read(terminal, 4096)
            if b"MARK" in text.rpartition(b"echo")[2].partition(b"\\n")[2]:
                break
    return text.decode(errors="replace")
os.write(terminal, b"bind 'set enable-bracketed-paste off'; source ./completion.bash\\n")
time.sleep(1)
os.write(terminal, sys.argv[1].encode() + b"\\t")
time.sleep(float(sys.argv[2]))
os.write(terminal, b" ; echo MARK\\n")
print(said(20))
os.write(terminal, b"\\x03exit\\n")
"""


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("snapshot reproduce small/pi", "snapshot reproduce small/pilot "),
        ("snapshot train demo/sna", "snapshot train demo/snapshot "),
        ("snapshot train mi", "snapshot train mine.yaml "),
        ("snapshot data show tiny-im", "snapshot data show tiny-imagenet "),
        ("snapshot train --set alp", "snapshot train --set alpha0="),
    ],
)
def test_bash_in_a_terminal(tmp_path, typed, completed):
    (tmp_path / "mine.yaml").touch()
    (tmp_path / "completion.bash").write_text(run("bash_source", tmp_path))
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin/snapshot"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m snapshot_cli "$@"\n')
    program.chmod(0o755)
    environment = os.environ | {"PATH": f"{program.parent}:{os.environ['PATH']}", "TERM": "dumb", "COLUMNS": "200"}
    command = [sys.executable, "-c", BASH, typed, "8"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert completed in done.stdout
