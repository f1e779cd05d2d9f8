"""snapshot list: the overview, and the names of one kind."""

from typing import get_args

import pytest
from command_line import snapshot

from snapshot_cli.config import shipped
from snapshot_cli.config.experiment import Method
from snapshot_cli.datasets.catalogue import CATALOGUE
from snapshot_cli.networks.names import forms

METHODS = list(get_args(Method))


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SNAPSHOT_DATA_DIR", raising=False)


def groups(*words):
    """Return what the overview names, by heading and label."""
    code, out, errors = snapshot("list", *words)
    assert (code, errors) == (0, "")
    heading, label, named = "", "", {}
    for line in out.splitlines():
        if line[0] != " ":
            heading, label = line[:18].strip(), ""
        elif line[:18].strip():
            label = line[:18].strip()
        if line[18:]:
            named.setdefault((heading, label), []).extend(line[18:].split("  "))
    return named


def test_the_overview_fits_one_screen_and_names_everything():
    code, out, errors = snapshot("list")
    assert (code, errors) == (0, "")
    lines = out.splitlines()
    assert len(lines) < 24
    assert max(map(len, lines)) <= 80
    named = groups()
    for heading, names in (("experiments", shipped.experiments()), ("studies", shipped.studies())):
        shown = [label + last for (kind, label), each in named.items() if kind == heading for last in each]
        assert sorted(shown) == names
    assert named["datasets", "prepared"] == ["none"]
    assert named["datasets", "not prepared"] == list(CATALOGUE)
    assert named["networks", "the paper's"] == forms()
    assert named["networks", "others"] == ["torchvision:NAME", "timm:NAME", "plugin:NAME"]
    assert named["methods", ""] == METHODS


def test_datasets_are_prepared_or_not(tiny_data, tmp_path):
    (tmp_path / "data").symlink_to(tiny_data)
    ready = groups("--data-dir", tiny_data)["datasets", "prepared"]
    assert "tiny" in ready
    assert groups()["datasets", "prepared"] == ready
    assert not set(ready) & set(groups()["datasets", "not prepared"])


def test_the_names_of_one_kind_stand_one_a_line(tiny_data):
    def names(*words):
        code, out, errors = snapshot("list", *words)
        assert (code, errors) == (0, "")
        return out.splitlines()

    assert names("experiments") == shipped.experiments()
    assert names("studies") == shipped.studies()
    assert names("methods") == METHODS
    assert names("datasets") == list(CATALOGUE)
    assert {"tiny", *CATALOGUE} <= set(names("datasets", "--data-dir", tiny_data))


def test_the_folder_of_data_goes_behind_the_command():
    code, out, errors = snapshot("list", "--data-dir", "elsewhere", "datasets")
    assert (code, out) == (2, "")
    assert errors.splitlines()[-1] == ("Error: --data-dir goes behind the command: snapshot list datasets --data-dir D")


def test_an_experiment_of_the_working_folder_is_listed(tmp_path):
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/mine.yaml").write_text("dataset: digits\n")
    assert groups()["experiments", ""] == ["mine"]
