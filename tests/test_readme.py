import re
import shlex
from pathlib import Path

import click
import pytest

from snapshot_cli.cli import main
from snapshot_cli.config.load import load
from snapshot_cli.config.shipped import study_path
from snapshot_cli.datasets.manifest import training_examples

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
CODE = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
INLINE = re.findall(r"`((?:snapshot|make) [^`]+)`", README)
COMMANDS = [line.split("#")[0].strip() for block in CODE for line in block.splitlines()] + INLINE


def resolve(words):
    """Return the click command that the words name and the words that follow."""
    command = main
    while isinstance(command, click.Group) and words:
        command, words = command.commands[words[0].rstrip(",")], words[1:]
    return command, words


@pytest.mark.parametrize("line", [line for line in COMMANDS if line.startswith("make ")])
def test_make_targets_exist(line):
    target = shlex.split(line)[1]
    rules = re.findall(r"^([a-z%-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert target in rules or (target.startswith("reproduce-") and "reproduce-%" in rules)
    if target.startswith("reproduce-"):
        size = re.search("SIZE=([a-z]+)", line)
        assert study_path("/".join([*(size.groups() if size else ()), target.removeprefix("reproduce-")])).is_file()


def test_every_command_is_in_the_table():
    table = README[README.index("| command |") : README.index("`.venv/bin/snapshot`")]
    named = {resolve(shlex.split(each)[1:])[0].name for each in re.findall(r"`(snapshot [^`]+)`", table)}
    assert {
        name if not isinstance(c, click.Group) else next(iter(c.commands)) for name, c in main.commands.items()
    } <= named


def test_the_experiment_loads(tmp_path):
    path = tmp_path / "experiment.yaml"
    path.write_text(re.search(r"```yaml\n(.*?)```", README, re.DOTALL)[1])
    assert load(path, training_examples=training_examples(tmp_path)).cycles == 6


def test_files_and_folders_exist():
    layout = README[README.index("## What lies where") :]
    block = re.search(r"```\n(.*?)```", layout, re.DOTALL)[1]
    package = re.findall(r"^  ([a-z_]+(?:/|\.py))", block, re.MULTILINE)
    assert all((ROOT / "snapshot_cli" / name).exists() for name in package)
    assert all((ROOT / name).exists() for name in re.findall(r"^([a-z_]+/) ", block, re.MULTILINE))
