"""Every command that README and docs show is understood; those of the tutorial are run in order."""

import configparser
import re
import shlex
import tomllib

import click
import pytest
import yaml
from command_line import CHECKOUT, EXPERIMENT, snapshot, write
from torch.distributed.run import get_args_parser as torchrun_parser

from snapshot_cli.cli import main
from snapshot_cli.commands.completion import Source
from snapshot_cli.config.load import load
from snapshot_cli.config.plan import runs
from snapshot_cli.config.shipped import config_path
from snapshot_cli.networks import plugins

TOP = [CHECKOUT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
PAGES = sorted([*TOP, *(CHECKOUT / "docs").glob("*.md"), *(CHECKOUT / "results").glob("*/README.md")])
GENERATED = {"config.md", "commands.md"}
PROGRAMS = "snapshot|torchrun|make|python|pip|ray|tensorboard|sbatch"
PLACEHOLDERS = {"N": "2", "K": "2", "I/8": "1/8", "KIND": "schedule"}
BUILTIN = {"source", "parallel", "ray start", "tensorboard --logdir", "sbatch --array=1-8", "sbatch --array=3"}
OTHERS_OPTIONS = {"--logdir", "--help"}  # of tensorboard, of every command
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))


def commands(page):
    """Return the commands in a page's console and sh blocks, without comments; a line that ends in | goes on."""
    blocks = re.findall(r"```(?:console|sh)\n(.*?)```", page.read_text(), re.DOTALL)
    lines = [line.split(" #")[0].strip() for block in blocks for line in block.replace("|\n", "| ").splitlines()]
    return [line for line in lines if line]


def inline(page):
    """Return the inline code of a page, each as one line."""
    prose = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    return [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", prose)]


@every_page
def test_no_command_imports_from_the_working_folder(page):
    """`python -m` and `torchrun -m` would run a yaml.py in it."""
    assert " -m snapshot_cli" not in page.read_text()


def shown(page):
    """Return the commands of a page's blocks, and those in its sentences."""
    return commands(page) + [code for code in inline(page) if re.match(rf"([A-Z]+=\S+ )*({PROGRAMS}) ", code)]


SHOWN = [(page.name, line) for page in PAGES if page.name not in GENERATED for line in shown(page)]


@pytest.fixture(scope="module")
def plugin(tmp_path_factory):
    """The plug-in file that docs/add-a-network.md shows."""
    path = tmp_path_factory.mktemp("plugin") / "mine.py"
    text = (CHECKOUT / "docs/add-a-network.md").read_text()
    path.write_text(re.search(r"```python\n(.*?)```", text, re.DOTALL)[1])
    yield str(path)
    plugins._files.clear()
    plugins._builders.clear()


@pytest.mark.parametrize(("page", "line"), list(dict.fromkeys(SHOWN)))
def test_every_command_is_understood(page, line, plugin):
    understand(line.replace("mine.py", plugin))


@pytest.mark.parametrize(
    "line",
    [
        "snapshot trian demo/snapshot", "snapshot train demo/snapshot --device tpu", "snapshot train demo/snapshto",
        "snapshot eval demo/pilot --jsno | python scripts/demo_pilot.py", "snapshot train demo/snapshot --set cycle=4",
        "torchrun --nproc-per-host 2 --no-python snapshot train demo/snapshot", "python scripts/power.py --poins 1",
        "torchrun --no-python snapshot train demo/snapshot --thread 1", "python scripts/nothing.py", "make dmeo",
        "make reproduce-table9", "make bench OPTIONS='--block 10'", "pip install 'snapshot-cli[tim]'", "snapshto train",
    ],
)  # fmt: skip
def test_a_misspelt_command_is_not_understood(line):
    with pytest.raises((Exception, SystemExit)):
        understand(line)


def understand(line):
    """Parse commands as their programs would; raise for a verb, option, value, file or target that does not exist."""
    for command in line.split(" | "):
        program, *words = [word for word in shlex.split(command) if not re.match("[A-Z_]+=", word)]
        words = [PLACEHOLDERS.get(word, word) for word in words]
        if program == "snapshot":
            understand_snapshot(words)
        elif program == "torchrun":
            given = torchrun_parser().parse_args(words if "snapshot" in words else [*words, "snapshot"])
            understand_snapshot(given.training_script_args)
        elif program == "make":
            understand_make(words, shlex.split(command))
        elif program == "python":
            understand_script(words[0], words[1:])
        elif program == "pip":
            extras = re.findall(r"snapshot-cli\[([a-z]+)\]", command)
            assert words == ["install", "."] or (extras and extras[0] in setup()["options.extras_require"])
        else:
            assert program in BUILTIN or f"{program} {words[0]}" in BUILTIN


def understand_snapshot(words):
    command, path = main, ["snapshot"]
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        path.append(words[0])
        command, words = command.commands[words[0].rstrip(",")], words[1:]
    if not words or words == ["--help"]:
        return
    try:
        context = command.make_context(" ".join(path), words)
    except click.MissingParameter:  # a sentence names a command and an option of it
        return
    for argument in (param for param in command.params if isinstance(param.type, Source)):
        given = context.params[argument.name] or ()
        for name in [given] if isinstance(given, str) else given:
            if config_path(name).is_file():
                load(config_path(name), context.params.get("sets", ()))
            else:
                assert "/" not in name or name.startswith("results"), f"no file {name}"


def understand_make(words, all_words):
    rules = re.findall(r"^([a-z%-]+):", (CHECKOUT / "Makefile").read_text(), re.MULTILINE)
    assert {re.sub(r"^reproduce-.*", "reproduce-%", word) for word in words} <= set(rules)
    size = next((word.removeprefix("SIZE=") + "/" for word in all_words if word.startswith("SIZE=")), "")
    for target in words:
        if target.startswith("reproduce-"):
            assert (CHECKOUT / f"configs/studies/{size}{target.removeprefix('reproduce-')}.yaml").is_file()
    if words == ["bench"]:
        given = next((word.removeprefix("OPTIONS=") for word in all_words if word.startswith("OPTIONS=")), "")
        understand_script("scripts/benchmark.py", given.replace("...", "").split())


def understand_script(name, words):
    text = (CHECKOUT / name).read_text()
    assert all(f'"{word}"' in text for word in words if word.startswith("--"))


def setup():
    parser = configparser.ConfigParser()
    parser.read(CHECKOUT / "setup.cfg")
    return parser


def verbs(command):
    yield command
    if isinstance(command, click.Group):
        for below in command.commands.values():
            yield from verbs(below)


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=lambda page: page.name)
def test_options_in_a_sentence_exist(page):
    options = {name for verb in verbs(main) for parameter in verb.params for name in parameter.opts} | OTHERS_OPTIONS
    options |= {name for verb in verbs(main) for parameter in verb.params for name in parameter.secondary_opts}
    options |= {name for action in torchrun_parser()._actions for name in action.option_strings}
    scripts = "".join(path.read_text() for path in (CHECKOUT / "scripts").rglob("*.py"))
    for code in inline(page):
        if code.startswith("--"):
            option = re.split("[ =]", code)[0]
            assert option in options or f'"{option}"' in scripts, code


YAML = [(page, block) for page in PAGES for block in re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL)]


@pytest.mark.parametrize(("page", "block"), YAML, ids=lambda value: getattr(value, "name", ""))
def test_every_file_that_is_shown_loads(page, block, tmp_path):
    settings = yaml.safe_load(block) or {}
    if "initial_weights" in settings:
        (tmp_path / settings["initial_weights"]).touch()
    load(write(tmp_path / "e.yaml", settings if "methods" in settings else EXPERIMENT | settings))


def test_the_entry_point_is_in_the_group_that_is_read():
    (block,) = re.findall(r"```toml\n(.*?)```", (CHECKOUT / "docs/add-a-network.md").read_text(), re.DOTALL)
    assert list(tomllib.loads(block)["project"]["entry-points"]) == [plugins.GROUP]


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


@every_page
def test_links_and_paths_lead_somewhere(page):
    text = page.read_text()
    links = re.findall(r"\]\((?!http|#)([^)#]+)", text)
    assert all((page.parent / link).exists() for link in links), links
    if page.name not in GENERATED:
        paths = re.findall(r"`((?:configs|docs|scripts|tests|snapshot_cli)/[^`* ]+)`", text)
        paths = [path for path in paths if "NAME" not in path and "MODULE" not in path]
        assert all((CHECKOUT / path).exists() for path in paths), paths


def test_names_in_the_recipes_are_in_the_files_that_a_step_names():
    checked = 0
    for step in re.findall(r"^\d\. .*(?:\n   .*)*", (CHECKOUT / "CONTRIBUTING.md").read_text(), re.MULTILINE):
        named = [name for name in re.findall(r"`([A-Za-z_./]+)`", step) if "NAME" not in name]
        files = [CHECKOUT / name for name in named if "/" in name and name.endswith(".py")]
        text = "".join(path.read_text() for file in files for path in file.parent.glob("*.py") if path.name in step)
        for name in (name for name in named if "/" not in name and not name.endswith(".py") and text):
            checked += 1
            assert re.search(rf"\b{name.split('.')[-1]}\b", text), f"{step}: no {name}"
    assert checked > 8


@every_page
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


SMALLER = {"budget: 20": "budget: 4", "budget: [20, 40, 80]": "budget: [4, 5]", "holdout: 300": "holdout: 20"}


def test_the_tutorial_works_from_its_first_line_to_its_last(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (CHECKOUT / "docs" / "tutorial.md").read_text()
    exec(re.search(r"```python\n(.*?)```", text, re.DOTALL)[1].replace("digits.images,", "digits.images[:120],")
         .replace("strict=True", "strict=False"))  # fmt: skip
    for name, settings in re.findall(r"Write `(\w+.yaml)`.*?```yaml\n(.*?)```", text, re.DOTALL):
        assert {"budget", "holdout"} == {long.split(":")[0] for long in SMALLER if long in settings}
        for long, short in SMALLER.items():
            settings = settings.replace(long, short)
        (tmp_path / name).write_text(settings)
    for line in commands(CHECKOUT / "docs" / "tutorial.md"):
        code, _, errors = snapshot(*shlex.split(line)[1:])
        assert code == 0, f"{line}\n{errors}"
    written = {"sheet.png", "lr.svg", "ensemble-size.png", "schedule.svg", "photos.pt2", "photos.pt2.md"}
    assert written <= {path.name for path in tmp_path.iterdir()}
    assert len((tmp_path / "answers.csv").read_text().splitlines()) == 121
