"""The README is short, and what it names exists."""

import configparser
import re
import shlex
from pathlib import Path

import yaml

from snapshot_cli.cli import main
from snapshot_cli.config.load import load
from snapshot_cli.datasets.manifest import training_examples

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
REPRODUCE = (ROOT / "docs/reproduce-a-table.md").read_text()
ARCHITECTURE = (ROOT / "docs/architecture.md").read_text()


def test_it_is_short():
    assert len(README.split()) <= 1500
    assert len(README.splitlines()) <= 130


def test_every_command_is_in_the_table():
    start = README.index("| command |")
    table = README[start : README.index("\n\n", start)]
    named = {shlex.split(line)[1] for line in re.findall(r"`(snapshot [^`]+)`", table)}
    assert set(main.commands) <= named


def test_the_experiment_loads(tmp_path):
    path = tmp_path / "experiment.yaml"
    path.write_text(re.search(r"```yaml\n(.*?)```", README, re.DOTALL)[1])
    assert load(path, training_examples=training_examples(tmp_path)).cycles == 6


def test_what_to_cite_is_the_same_everywhere():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    assert citation["version"] == setup["metadata"]["version"]
    paper = citation["preferred-citation"]
    bibtex = re.search(r"```bibtex\n(.*?)```", README, re.DOTALL)[1].replace("{M}", "M")
    people = " and ".join(f"{person['family-names']}, {person['given-names']}" for person in paper["authors"])
    assert all(f"{{{text}}}" in bibtex for text in (paper["title"], people, paper["year"], paper["url"]))
    assert paper["url"] in setup["metadata"]["project_urls"]


def test_every_study_and_scale_is_on_its_page():
    start = REPRODUCE.index("| study |")
    named = set(re.findall(r"`([a-z]+[0-9]?)`", REPRODUCE[start : REPRODUCE.index("\n\n", start)]))
    studies = ROOT / "configs/studies"
    assert {path.stem for path in studies.glob("*.yaml")} <= named
    for path in studies.glob("*/*.yaml"):
        scale = path.parent.name
        assert f"`{scale}/`" in REPRODUCE
        assert path.stem in named or f"`{path.stem}`" in REPRODUCE or f"`{scale}/{path.stem}`" in REPRODUCE


def test_files_and_folders_of_the_layout_exist():
    layout = ARCHITECTURE[ARCHITECTURE.index("## Repository layout") :]
    block = re.search(r"```\n(.*?)```", layout, re.DOTALL)[1]
    named = [re.split(r" {2,}", line.strip())[0].split(", ") for line in block.splitlines() if line.startswith("  ")]
    package = [name for names in named for name in names]
    assert all((ROOT / "snapshot_cli" / name).exists() for name in package)
    folders = {path.parent.name for path in (ROOT / "snapshot_cli").glob("*/__init__.py")}
    assert folders <= {name.rstrip("/") for name in package}
    assert all((ROOT / name).exists() for name in re.findall(r"^([a-z_]+/) ", block, re.MULTILINE))
