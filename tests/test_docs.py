"""Every command that README and docs show is one that exists; those of the tutorial are run in order."""

import re
import shlex

import click
import pytest
from command_line import CHECKOUT, snapshot, write

from snapshot_cli.cli import main
from snapshot_cli.commands.completion import Source
from snapshot_cli.config.load import load
from snapshot_cli.config.plan import runs
from snapshot_cli.config.shipped import config_path
from snapshot_cli.networks import plugins

PAGES = sorted([CHECKOUT / "README.md", CHECKOUT / "CONTRIBUTING.md", *(CHECKOUT / "docs").glob("*.md")])
GENERATED = {"config.md", "commands.md"}


def commands(page):
    """Return the lines of a page's console blocks without what follows a #."""
    blocks = re.findall(r"```console\n(.*?)```", page.read_text(), re.DOTALL)
    lines = [line.split("#")[0].strip() for block in blocks for line in block.splitlines()]
    return [re.sub(r"^torchrun [a-z0-9 -]+ --no-python snapshot ", "snapshot ", line) for line in lines]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_command_imports_from_the_working_folder(page):
    """`python -m` and `torchrun -m` would run a yaml.py in it."""
    assert " -m snapshot_cli" not in page.read_text()


SHOWN = [(page.name, line) for page in PAGES for line in commands(page)]


@pytest.fixture(scope="module")
def plugin(tmp_path_factory):
    """The plug-in file that docs/add-a-network.md shows."""
    path = tmp_path_factory.mktemp("plugin") / "mine.py"
    text = (CHECKOUT / "docs/add-a-network.md").read_text()
    path.write_text(re.search(r"```python\n(.*?)```", text, re.DOTALL)[1])
    yield str(path)
    plugins._files.clear()
    plugins._builders.clear()


@pytest.mark.parametrize(("page", "line"), [(page, line) for page, line in SHOWN if line.startswith("snapshot ")])
def test_every_command_is_understood(page, line, plugin):
    command, words, path = main, shlex.split(line.replace("mine.py", plugin))[1:], ["snapshot"]
    while isinstance(command, click.Group):
        path.append(words[0])
        command, words = command.commands[words[0]], words[1:]
    context = command.make_context(" ".join(path), words)
    assert context.params
    for argument in (param for param in command.params if isinstance(param.type, Source)):
        given = context.params[argument.name] or ()
        for name in [given] if isinstance(given, str) else given:
            exists = config_path(name).is_file() or "/" not in name or name.startswith("results")
            assert exists, f"{page} names {name}"


@pytest.mark.parametrize("page", [page for page in PAGES if page.name not in GENERATED], ids=lambda page: page.name)
def test_commands_in_a_sentence_exist(page):
    for line in re.findall(r"`snapshot ([^`]+)`", page.read_text()):
        command, words = main, shlex.split(line)
        while isinstance(command, click.Group) and words and not words[0].startswith("-"):
            command, words = command.commands[words[0].rstrip(",")], words[1:]
        known = {name for parameter in command.params for name in parameter.opts} | {"--help"}
        assert {word for word in words if word.startswith("--")} <= known, line


def test_the_network_of_the_docs_trains(plugin, tiny_data, tmp_path):
    settings = {"dataset": "tiny", "network": "plugin:mlp", "method": "snapshot", "budget": 1, "cycles": 2}
    file = write(tmp_path / "e.yaml", settings | {"network_options": {"hidden": 32}})
    words = ("--data-dir", tiny_data, "--results-dir", tmp_path, "--device", "cpu", "--plugin", plugin)
    code, _, errors = snapshot("train", file, *words)
    assert code == 0, errors


def test_runs_are_named_as_they_are():
    ids = re.findall(r"digits/[a-z0-9-]+-cosine-M4-[0-9a-f]{8}", "".join(page.read_text() for page in PAGES))
    asked = [load(config_path(f"demo/{name}")) for name in ("snapshot", "table1")]
    assert set(ids) <= {run.run_id for each in asked for run in runs(each)}


def test_the_run_that_the_architecture_names_is_that_of_the_readmes_experiment(tmp_path):
    readme, page = ((CHECKOUT / name).read_text() for name in ("README.md", "docs/architecture.md"))
    (tmp_path / "experiment.yaml").write_text(re.search(r"```yaml\n(.*?)```", readme, re.DOTALL)[1])
    (run,) = runs(load(tmp_path / "experiment.yaml"))
    assert re.findall(r"cifar100/[a-z0-9-]+-M6-[0-9a-f]{8}", page) == [run.run_id]


def test_every_other_line_is_a_make_target():
    rules = re.findall(r"^([a-z%-]+):", (CHECKOUT / "Makefile").read_text(), re.MULTILINE)
    others = [line for _, line in SHOWN if line and not line.startswith("snapshot ")]
    assert others
    targets = {re.sub(r"^reproduce-.*", "reproduce-%", line.split()[1]) for line in others if line.startswith("make ")}
    assert targets <= set(rules)
    assert all(line.startswith("make ") for line in others)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_paths_lead_somewhere(page):
    text = page.read_text()
    links = re.findall(r"\]\((?!http|#)([^)#]+)", text)
    assert all((page.parent / link).exists() for link in links), links
    if page.name not in GENERATED:
        paths = re.findall(r"`((?:configs|tests|snapshot_cli)/[^`* ]+)`", text)
        paths = [path for path in paths if "NAME" not in path and "MODULE" not in path]
        assert all((CHECKOUT / path).exists() for path in paths), paths


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_to_headings_lead_to_one(page):
    for target, anchor in re.findall(r"\]\((?!http)([^)#]*)#([^)]+)\)", page.read_text()):
        text = ((page.parent / target) if target else page).read_text()
        headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
        assert anchor in {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}, target


def test_every_page_is_in_the_index():
    index = (CHECKOUT / "docs" / "README.md").read_text()
    pages = [page.name for page in (CHECKOUT / "docs").glob("*.md") if page.name != "README.md"]
    assert {page: index.count(f"({page})") for page in pages} == dict.fromkeys(pages, 1)
    assert "(docs/README.md)" in (CHECKOUT / "README.md").read_text()


SMALLER = {"budget: 20": "budget: 4", "holdout: 300": "holdout: 20"}


def test_the_tutorial_works_from_its_first_line_to_its_last(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (CHECKOUT / "docs" / "tutorial.md").read_text()
    exec(re.search(r"```python\n(.*?)```", text, re.DOTALL)[1].replace("digits.images,", "digits.images[:120],")
         .replace("strict=True", "strict=False"))  # fmt: skip
    for name, settings in re.findall(r"Write `(\w+.yaml)`.*?```yaml\n(.*?)```", text, re.DOTALL):
        for long, short in SMALLER.items():
            assert long in settings
            settings = settings.replace(long, short)
        (tmp_path / name).write_text(settings)
    for line in commands(CHECKOUT / "docs" / "tutorial.md"):
        code, _, errors = snapshot(*shlex.split(line)[1:])
        assert code == 0, f"{line}\n{errors}"
    written = {"sheet.png", "rate.svg", "ensemble-size.png", "schedule.svg", "photos.pt2", "photos.pt2.md"}
    assert written <= {path.name for path in tmp_path.iterdir()}
    assert len((tmp_path / "answers.csv").read_text().splitlines()) == 121
