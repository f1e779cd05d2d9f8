"""What names the sources of a command: a file, a shipped name, run directories, or --config."""

import shlex
from pathlib import Path

import pytest
from command_line import CHECKOUT, EXPERIMENT, STUDY, snapshot, write
from fabricated_runs import finish_cells

from snapshot_cli.config import shipped
from snapshot_cli.config.load import load
from snapshot_cli.errors import command


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SNAPSHOT_DATA_DIR", raising=False)


@pytest.fixture
def run_directory():
    write(Path("e.yaml"), EXPERIMENT)
    (directory,) = finish_cells(load(Path("e.yaml")), Path("results/own"), lambda run, k: k)
    return directory.path


@pytest.mark.parametrize(
    "words",
    [["estimate", "--steps", "0"], ["config", "show"], ["train"], ["eval"], ["plot", "loss", "-o", "f.svg"]],
    ids=lambda words: words[0],
)
def test_an_argument_and_config_mean_the_same(run_directory, words):
    expected = snapshot(*words, "e.yaml")
    assert expected[0] == 0
    assert snapshot(*words, "--config", "e.yaml") == expected
    assert snapshot(*words, run_directory)[0] == 0
    verb = " ".join(word for word in words[:2] if word in ("estimate", "config", "show", "train", "eval", "plot"))
    assert snapshot(*words, "e.yaml", "--config", "f.yaml") == (
        2, "", f"snapshot {verb}: given both e.yaml and --config f.yaml; leave out one of them\n"
    )  # fmt: skip
    code, out, errors = snapshot(*words)
    assert (code, out) == (2, "")
    assert errors.startswith(f"snapshot {verb}: expected a FILE")
    assert errors.endswith(", such as demo/snapshot; snapshot list shows the names\n")


def test_a_run_directory_means_its_run(run_directory):
    assert f"seed: 0  # {run_directory}/config.yaml:" in snapshot("config", "show", run_directory)[1]
    assert snapshot("train", run_directory)[::2] == (0, f"already trained: {run_directory}\n")


def test_a_shipped_name_wins_over_a_folder_that_is_no_run_directory(run_directory):
    Path("demo/snapshot").mkdir(parents=True)
    assert shipped.config_path("demo/snapshot") == CHECKOUT / "configs/demo/snapshot.yaml"
    assert not shipped.is_run_directory("demo/snapshot")
    run_directory.rename("demo/snapshot/run").joinpath("config.yaml").rename("demo/snapshot/config.yaml")
    assert shipped.is_run_directory("demo/snapshot")
    assert shipped.config_path("demo/snapshot") == Path("demo/snapshot/config.yaml")


def test_a_shipped_file_is_called_by_its_name_where_that_leads_to_it():
    for name in ("demo/snapshot", "demo/table1", "table1", "cifar10/resnet-110"):
        assert shipped.name_of(shipped.config_path(name)) == name
    write(Path("configs/demo/snapshot.yaml"), EXPERIMENT)
    assert shipped.name_of(Path("configs/demo/snapshot.yaml")) == "demo/snapshot"
    another = CHECKOUT / "configs/demo/snapshot.yaml"
    assert shipped.name_of(another) == another
    assert shipped.name_of(Path("e.yaml")) == Path("e.yaml")


def test_a_command_to_type_survives_the_shell(run_directory):
    odd = Path("-it's $HOME.yaml")
    Path("e.yaml").rename(odd)
    _, _, errors = snapshot("eval", "--config", odd, "--set", "seed=5")
    typed = shlex.split(errors.partition("; type ")[2])
    assert typed == ["snapshot", "train", f"./{odd}", "--set", "seed=5"]
    assert snapshot("config", "show", *typed[2:])[0] == 0
    assert command("train", Path("-x")) == "snapshot train ./-x"


def test_a_study_in_a_command_to_type_survives_the_shell():
    odd = write(Path("it's one.yaml"), STUDY)
    for words in (["report"], ["plot", "budget", "-o", "f.svg"], ["eval"], ["compare"]):
        errors = snapshot(*words, odd, "--set", "seed=5", "--results-dir", "my results")[2]
        typed = shlex.split(errors.partition("; type ")[2])
        verb = "reproduce" if words == ["report"] else "train"
        assert typed == ["snapshot", verb, str(odd), "--set", "seed=5", "--results-dir", "my results"], words


@pytest.mark.parametrize("words", [["--config=~/e.yaml"], ["~/e.yaml"]])
def test_a_tilde_that_the_shell_leaves_is_the_home_folder(tmp_path, monkeypatch, words):
    home = tmp_path / "home"
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("SNAPSHOT_DATA_DIR", "~/data")
    write(home / "e.yaml", EXPERIMENT)
    monkeypatch.chdir(home)
    assert snapshot("eval", *words, "--results-dir=~/r")[2] == (
        f"{home}/e.yaml: its run is not finished in {home}/r; "
        f"type snapshot train {home}/e.yaml --results-dir {home}/r\n"
    )
    (home / "data").write_text("a file")
    assert snapshot("status", "~/e.yaml")[0] != 0
    assert f"{home}/data" in snapshot("data", "prepare", "digits")[2]
    assert not (home / "~").exists()
