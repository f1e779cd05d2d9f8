from pathlib import Path

import pytest

from snapshot_cli.config import shipped
from snapshot_cli.config.shipped import CHECKOUT, size, study_path
from snapshot_cli.errors import ConfigError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Stand in an empty folder, with a checkout of two studies elsewhere."""
    for name in ("table1", "demo/figure"):
        path = tmp_path / f"checkout/configs/studies/{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(shipped, "CHECKOUT", tmp_path / "checkout")
    return tmp_path / "here"


@pytest.mark.parametrize("name", ["table1", "demo/figure"])
def test_a_bare_name_is_found_from_anywhere(folder, name):
    assert study_path(name) == folder.parent / f"checkout/configs/studies/{name}.yaml"


def test_a_study_of_this_folder_comes_first(folder):
    path = Path("configs/studies/table1.yaml")
    path.parent.mkdir(parents=True)
    path.touch()
    assert study_path("table1") == path


def test_a_path_is_taken_as_it_is(folder):
    assert study_path("mine.yaml") == Path("mine.yaml")
    assert study_path("sub/mine.yml") == Path("sub/mine.yml")
    Path("mine").touch()
    assert study_path("mine") == Path("mine")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("tabel1", "did you mean 'table1'?"),
        ("demo/figur", "did you mean 'demo/figure'?"),
        ("xyz", "snapshot list studies shows the names."),
        ("", "snapshot list studies shows the names."),
    ],
)
def test_no_such_study(folder, name, hint):
    with pytest.raises(ConfigError) as caught:
        study_path(name)
    assert caught.value.exit_code == 2
    assert str(caught.value) == (
        f"{name}: no such study; {hint} For a file of your own: give its path, ending in .yaml"
    )


def test_no_studies_at_all(folder, monkeypatch):
    monkeypatch.setattr(shipped, "CHECKOUT", folder)
    with pytest.raises(ConfigError) as caught:
        study_path("table1")
    assert str(caught.value) == (
        "table1: no such study; snapshot list studies shows the names. "
        "For a file of your own: give its path, ending in .yaml"
    )


@pytest.mark.parametrize(
    ("path", "folder_of_results"),
    [
        ("configs/studies/table1.yaml", "paper"),
        ("configs/studies/small/table1.yaml", "small"),
        ("configs/studies/medium/pilot.yaml", "medium"),
        ("configs/studies/demo/table1.yaml", "demo"),
        ("configs/demo/snapshot.yaml", "demo"),
        ("configs/cifar10.yaml", "paper"),
        ("mine.yaml", "own"),
        ("demo.yaml", "own"),
        ("small/mine.yaml", "small"),
    ],
)
def test_size(folder, path, folder_of_results):
    assert size(Path(path)) == folder_of_results


@pytest.mark.parametrize("given", ["../two/config.yaml", "config.yaml", "../../digits/two/config.yaml"])
def test_the_results_folder_of_a_run_that_is_named_from_another(folder, monkeypatch, given):
    run = folder / "results/own/runs/digits/two"
    run.mkdir(parents=True)
    monkeypatch.chdir(run)
    assert shipped.results_folder(Path(given), None) == folder / "results/own"


def test_the_checkout_is_the_folder_with_the_studies():
    assert (CHECKOUT / "configs/studies/table1.yaml").is_file()


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("configs/studies/table1.yaml", "table1"), ("configs/studies/demo/table1.yaml", "demo/table1"),
        ("configs/demo/snapshot.yaml", None), ("studies/table1.yaml", None), ("table1.yaml", None),
    ],
)  # fmt: skip
def test_bare_names(tmp_path, path, name):
    assert shipped.bare_name(tmp_path / path) == name


def test_the_name_of_a_folder_lists_the_studies_in_it():
    with pytest.raises(ConfigError) as caught:
        study_path("demo")
    assert "demo/table1" in str(caught.value)
    assert "small/" not in str(caught.value)
