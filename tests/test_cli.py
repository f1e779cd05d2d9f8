import errno
import importlib.metadata
import subprocess
import sys

import click
import pytest
from command_line import CHECKOUT, EXPERIMENT, STUDY, snapshot, write
from fabricated_runs import finish_cells

from snapshot_cli.cli import main
from snapshot_cli.config.load import load
from snapshot_cli.launch import doctor

HELP = """\
Usage: snapshot [OPTIONS] COMMAND [ARGS]...

  Train one network, get M models: snapshot ensembles (Huang et al., 2017).

  FILE is an experiment or a study in YAML, the name of one that comes with the
  program, such as demo/snapshot, or a run directory. A study is several
  experiments that make a table or figure.

  Try it, without a download:
    snapshot train demo/snapshot      train one experiment, in seconds
    snapshot reproduce demo/table1    compare all methods, in two minutes
    snapshot init                     write an experiment file to change

Options:
  --version   Show the version and exit.
  -h, --help  Show this message and exit.

Run:
  init         Write a commented experiment file to start from.
  estimate     Show the time, memory and disk that FILE needs.
  train        Train what FILE describes, or resume; print error rates.
  reproduce    Train the missing runs of studies, then draw them.
  status       Show the progress of all runs.

Look at results:
  eval         Print the error rates of snapshots and ensembles.
  compare      Compare runs, experiments or methods, pair by pair.
  report       Redraw tables, figures and page from finished runs.
  plot         Draw one figure from finished runs.
  tensorboard  Write event files of runs for TensorBoard.
  verify       Check the files of finished runs.

Data and setup:
  data         Prepare, list, show and verify datasets.
  list         List experiments, studies, datasets, networks, methods.
  config       Show every value of FILE and where it comes from.
  doctor       Check this machine and say what to type.

Use an ensemble:
  export       Write an ensemble as one file that runs standalone.
  predict      Classify images with a run or an exported file.
"""


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SNAPSHOT_DATA_DIR", raising=False)


def verbs(group=main, path=()):
    yield path, group
    for name, command in getattr(group, "commands", {}).items():
        yield from verbs(command, (*path, name))


def test_help():
    assert snapshot("--help") == (0, HELP, "")
    assert snapshot("-h") == (0, HELP, "")
    assert snapshot() == (2, "", HELP)


@pytest.mark.parametrize(("path", "command"), list(verbs()))
def test_every_verb_explains_itself_and_each_of_its_options(path, command):
    code, text, errors = snapshot(*path, "--help")
    assert (code, errors) == (0, "")
    assert text.startswith(f"Usage: {' '.join(['snapshot', *path])} ")
    assert all(len(line) <= 80 and not line.endswith("...") for line in text.splitlines()[1:])
    for option in command.params:
        assert option.param_type_name == "argument" or option.help, f"{path} {option.name}"
    assert isinstance(command, click.Group) or command.help


def test_a_source_tree_that_is_not_installed_has_no_version(monkeypatch):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    for name in ("version", "requires"):
        monkeypatch.setattr(importlib.metadata, name, missing)
    assert snapshot("--version") == (0, "snapshot, version unknown\n", "")
    assert [found.state for found in doctor.packages(doctor._requirements())] == ["note"]


def test_version():
    assert snapshot("--version") == (0, "snapshot, version 0.1.0\n", "")


@pytest.mark.parametrize(
    ("words", "usage", "message"),
    [
        (["trian"], "snapshot [OPTIONS] COMMAND [ARGS]...", "No such command 'trian'. Did you mean 'train'?"),
        (["qq"], "snapshot [OPTIONS] COMMAND [ARGS]...", "No such command 'qq'."),
        (
            ["train", "--cofnig", "x"],
            "snapshot train [OPTIONS] FILE",
            "No such option '--cofnig'. Did you mean '--config'?",
        ),
        (
            ["data", "prepair"],
            "snapshot data [OPTIONS] COMMAND [ARGS]...",
            "No such command 'prepair'. Did you mean 'prepare'?",
        ),
        (
            ["train", "x", "--device", "gpu"],
            "snapshot train [OPTIONS] FILE",
            "Invalid value for '--device': 'gpu' is not one of 'auto', 'cpu', 'cuda'.",
        ),
        (
            ["train", "x", "--threads", "0"],
            "snapshot train [OPTIONS] FILE",
            "Invalid value for '--threads': 0 is not in the range x>=1.",
        ),
        (["reproduce"], "snapshot reproduce [OPTIONS] STUDY...", "Missing argument 'STUDY...'."),
    ],
)  # fmt: skip
def test_wrong_words(words, usage, message):
    command = usage.partition(" [")[0]
    expected = f"Usage: {usage}\nTry '{command} --help' for help.\n\nError: {message}\n"
    assert snapshot(*words) == (2, "", expected)


def test_a_place_that_cannot_be_written_to_is_a_line_and_no_traceback(tmp_path):
    study = write(tmp_path / "study.yaml", STUDY)
    finish_cells(load(study), tmp_path / "results", lambda run, k: k)
    (tmp_path / "results/scores").write_text("a file")
    code, out, errors = snapshot("report", study, "--results-dir", tmp_path / "results")
    assert (code, out) == (1, "")
    assert errors == f"{tmp_path / 'results/scores'}: File exists\n"


def test_names_in_messages_command_no_terminal(tmp_path):
    study = write(tmp_path / "study.yaml", STUDY)
    red = tmp_path / "red\x1b[31m"
    red.write_text("a file")
    for words in (
        ["config", "show", "e\x1b[2J\udcff.yaml"],
        ["report", study, "--results-dir", red],
    ):
        _, _, errors = snapshot(*words)
        assert "\x1b" not in errors
        assert r"\x1b[" in errors


def test_ctrl_c_is_no_traceback(monkeypatch):
    def interrupted(path):
        raise KeyboardInterrupt

    monkeypatch.setattr("snapshot_cli.datasets.manifest.prepared", interrupted)
    assert snapshot("data", "list") == (130, "", "")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device; make room"),
        (OSError(errno.EMFILE, "Too many open files"), "Too many open files; allow more, for example ulimit -n 4096"),
        (OSError(errno.ESTALE, "Stale file handle", "a/b"), "a/b: Stale file handle"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "a"), "a: No such file or directory"),
        (FileNotFoundError(errno.ENOENT, "No usable temporary directory"), "No usable temporary directory"),
    ],
)
def test_what_the_system_refuses_is_a_line(monkeypatch, error, words):
    def refused(path):
        raise error

    monkeypatch.setattr("snapshot_cli.datasets.manifest.prepared", refused)
    assert snapshot("data", "list") == (1, "", words + "\n")


def test_a_working_folder_that_was_deleted(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert snapshot("init") == (1, "", "the working folder was deleted; change to another\n")
    assert snapshot("list", "methods")[0] == 0


def test_bugs_stay_tracebacks(monkeypatch):
    def broken(path):
        raise OSError("no number, no file name")

    monkeypatch.setattr("snapshot_cli.datasets.manifest.prepared", broken)
    with pytest.raises(OSError, match="no number"):
        snapshot("data", "list")


@pytest.mark.parametrize(
    "settings", [EXPERIMENT, STUDY, STUDY | {"split": "holdout", "base": STUDY["base"] | {"holdout": 20}}]
)
def test_config_show_prints_a_file_with_the_same_meaning(tmp_path, settings):
    file = write(tmp_path / "mine.yaml", settings)
    code, text, errors = snapshot("config", "show", file, "--set", "alpha0=0.25")
    assert (code, errors) == (0, "")
    again = tmp_path / "again" / "mine.yaml"
    again.parent.mkdir()
    again.write_text(text)
    assert load(again) == load(file, ["alpha0=0.25"])
    assert uncommented(snapshot("config", "show", again)[1]) == uncommented(text)


def uncommented(text):
    return [line.partition("  # ")[0] for line in text.splitlines() if not line.lstrip().startswith("# ")]


def test_config_show_explains_every_value(tmp_path):
    text = snapshot("config", "show", write(tmp_path / "e.yaml", EXPERIMENT), "--set", "seed=3")[1]
    assert f"# B, the budget of one full training, in epochs.\nbudget: 4  # {tmp_path}/e.yaml:4\n" in text
    for line in (
        "seed: 3  # --set", "batch_size: 64  # default", "train_size: null  # default: 400 images",
        "padding: null  # default: 1", "flip: null  # default: false",
    ):  # fmt: skip
        assert f"\n{line}\n" in text
    assert text.endswith(
        "\n# Derived: 1 run: digits/resnet-8-cosine-M2-seed3-5466bd89, 7 steps per epoch;\n"
        "# snapshots after steps 14, 28.\n"
    )
    assert all(len(line) <= 80 for line in text.splitlines() if line.startswith("# "))


def test_config_show_of_a_study_writes_what_is_shared_once(tmp_path):
    file = write(tmp_path / "s.yaml", STUDY | {"axes": {"seed": [0, 1]}})
    text = snapshot("config", "show", file, "--set", "alpha0=0.2")[1]
    assert f"\n  dataset: digits  # {file}:3 (base)\n" in text
    assert "\n  alpha0: 0.2  # --set\n" in text
    assert f"\n  - method: single  # {file}:8 (methods)\n    seed: 0  # {file}:16 (axes)\n" in text
    assert text.count("\n  - method: ") == 6
    assert text.endswith("\n# Derived: 6 experiments, 6 distinct runs.\n")


def test_config_show_reads_a_pipe(tmp_path):
    file = write(tmp_path / "e.yaml", EXPERIMENT)
    command = f"{sys.executable} -m snapshot_cli config show <(cat {file})"
    done = subprocess.run(["bash", "-c", command], cwd=CHECKOUT, capture_output=True, text=True)
    assert "\nbudget: 4  # /dev/fd/" in done.stdout, done.stderr


def test_config_show_of_a_run(tmp_path):
    (directory,) = finish_cells(load(write(tmp_path / "e.yaml", EXPERIMENT)), tmp_path, lambda run, k: 0)
    code, text, _ = snapshot("config", "show", directory.path / "config.yaml")
    again = tmp_path / "again.yaml"
    again.write_text(text)
    assert (code, load(again)) == (0, directory.run)
    assert f"alpha0: 0.1  # {directory.path}/config.yaml:11\n" in text


def test_config_show_says_all_mistakes(tmp_path):
    write(tmp_path / "e.yaml", EXPERIMENT | {"network": "resnet-8", "lr": 0.1, "budget": -1})
    assert snapshot("config", "show", "e.yaml") == (
        2,
        "",
        "e.yaml:4:1: budget: expected a whole number of at least 1, given -1\n"
        "e.yaml:6:1: lr: unknown key; did you mean 'alpha0'?\n",
    )


@pytest.mark.parametrize("suffix", ["svg", "png", "pdf"])
def test_plot(tmp_path, suffix):
    file = write(tmp_path / "e.yaml", EXPERIMENT)
    finish_cells(load(file), tmp_path / "results/own", lambda run, k: k)
    words = ("plot", "ensemble-size", file, "-o", f"new/figure.{suffix}")
    assert snapshot(*words) == (0, f"new/figure.{suffix}\n", "")
    starts = {"svg": b"<?xml", "png": b"\x89PNG", "pdf": b"%PDF"}
    assert (tmp_path / "new" / f"figure.{suffix}").read_bytes().startswith(starts[suffix])


@pytest.mark.parametrize(
    ("settings", "output", "code", "message"),
    [
        (EXPERIMENT, "figure", 2, "-o figure: expected a name that ends in .svg, .png or .pdf"),
        (EXPERIMENT, "figure.gif", 2, "-o figure.gif: expected a name that ends in .svg, .png or .pdf"),
        (
            EXPERIMENT | {"method": "single"},
            "f.svg",
            2,
            "e.yaml: has single models alone; expected a method with an ensemble",
        ),
        (
            EXPERIMENT,
            "f.svg",
            1,
            "e.yaml: nothing is finished; type snapshot train e.yaml --set 'alpha0=0.3 '",
        ),
    ],
)  # fmt: skip
def test_plot_that_cannot_be(tmp_path, settings, output, code, message):
    write(tmp_path / "e.yaml", settings)
    words = ("plot", "ensemble-size", "e.yaml", "-o", output, "--set", "alpha0=0.3 ")
    assert snapshot(*words) == (code, "", message + "\n")
    assert not (tmp_path / output).exists()


def test_shipped_demo_configs_say_what_to_type(tmp_path):
    file = CHECKOUT / "configs/demo/snapshot.yaml"
    assert snapshot("eval", file) == (
        1, "", f"{file}: its run is not finished in results/demo; type snapshot train demo/snapshot\n"
    )  # fmt: skip
