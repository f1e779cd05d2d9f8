import click
import pytest
from command_line import CHECKOUT, EXPERIMENT, STUDY, snapshot, write
from fabricated_runs import finish_cells

from snapshot_cli.cli import main
from snapshot_cli.config.load import load

HELP = """\
Usage: snapshot [OPTIONS] COMMAND [ARGS]...

  Train one network, get M models: snapshot ensembles (Huang et al., 2017).

  FILE is an experiment or a study in YAML, the name of one that comes with the
  program, such as demo/snapshot, or a run directory. A study is several
  experiments that make a table or figure.

  Try it, without a download:
    snapshot train demo/snapshot      train one experiment, in seconds
    snapshot reproduce demo/table1    compare all methods, in two minutes

Options:
  --version   Show the version and exit.
  -h, --help  Show this message and exit.

Run:
  estimate     Show the time, memory and disk that FILE needs.
  train        Train what FILE describes, or resume; print errors.
  reproduce    Train the missing runs of studies, then draw them.
  status       Show the progress of all runs.

Look at results:
  eval         Print the errors of snapshots and ensembles.
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


def test_bugs_stay_tracebacks(monkeypatch):
    def broken(path):
        raise OSError("no number, no file name")

    monkeypatch.setattr("snapshot_cli.datasets.manifest.prepared", broken)
    with pytest.raises(OSError, match="no number"):
        snapshot("data", "list")


@pytest.mark.parametrize("settings", [EXPERIMENT, STUDY, STUDY | {"split": "holdout"}])
def test_config_show_prints_a_file_with_the_same_meaning(tmp_path, settings):
    file = write(tmp_path / "mine.yaml", settings)
    code, text, errors = snapshot("config", "show", file, "--set", "alpha0=0.25")
    assert (code, errors) == (0, "")
    again = tmp_path / "again" / "mine.yaml"
    again.parent.mkdir()
    again.write_text(text)
    assert load(again) == load(file, ["alpha0=0.25"])
    assert snapshot("config", "show", again) == (0, text, "")


def test_config_show_of_a_run(tmp_path):
    (directory,) = finish_cells(load(write(tmp_path / "e.yaml", EXPERIMENT)), tmp_path, lambda run, k: 0)
    code, text, _ = snapshot("config", "show", directory.path / "config.yaml")
    assert (code, text) == (0, (directory.path / "config.yaml").read_text())


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
