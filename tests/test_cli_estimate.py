import pytest
from command_line import EXPERIMENT, STUDY, snapshot, write
from rich.table import Table

from snapshot_cli.commands import options


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return write(tmp_path / "mine.yaml", EXPERIMENT)


def test_an_experiment(file):
    code, out, errors = snapshot("estimate", "mine.yaml", "--steps", "0", "-o", "rate.svg")
    assert (code, errors) == (0, "")
    lines = [line.rstrip() for line in out.splitlines()]
    assert lines[0] == "rate.svg"
    assert lines[1].startswith("  0.1 █")
    assert lines[9] == "snapshots after steps 14, 28"
    assert lines[10].split() == ["network", "dataset", "runs", "images", "memory", "disk", "time"]
    assert lines[12].split() == ["resnet-8", "digits", "1", "1,600", "3.7", "MB", "0.7", "MB", "-"]
    assert lines[-1] == "the checkpoint of a run in training takes another 1.2 MB."
    assert file.with_name("rate.svg").read_text().startswith("<?xml")


def test_time_is_measured_and_said_on_stderr(file):
    code, out, errors = snapshot("estimate", "mine.yaml", "--steps", "1", "--device", "cpu")
    assert code == 0
    assert errors.startswith("resnet-8 on digits: ")
    assert " s per step, the median of 1 on cpu; bfloat16 is " in errors
    assert " s" in out.splitlines()[-3]


def test_a_study_has_a_row_a_network_and_a_sum(file, tmp_path):
    write(tmp_path / "study.yaml", STUDY | {"axes": {"network": ["resnet-8", "resnet-14"]}})
    code, out, _ = snapshot("estimate", "study.yaml", "--steps", "0")
    assert code == 0
    rows = [line.split() for line in out.splitlines() if "MB" in line]
    assert [row[:4] for row in rows[:2]] == [
        ["resnet-8", "digits", "3", "4,800"],
        ["resnet-14", "digits", "3", "4,800"],
    ]
    assert rows[2][:3] == ["total", "6", "9,600"]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--steps", "0", "-o", "rate.gif"], 2, "-o rate.gif: expected a name that ends in .svg, .png or .pdf\n"),
        (["--set", "cycles=1000"], 2,
         "--set: cycles: 1000 cycles do not fit into 28 steps; the nearest number that works is 28\n"),
    ],
)  # fmt: skip
def test_mistakes(file, words, code, message):
    assert snapshot("estimate", "mine.yaml", *words) == (code, "", message)


def test_a_figure_of_several_networks_is_refused(file, tmp_path):
    write(tmp_path / "study.yaml", STUDY | {"axes": {"network": ["resnet-8", "resnet-14"]}})
    assert snapshot("estimate", "study.yaml", "--steps", "0", "-o", "rate.svg") == (
        2,
        "",
        "-o rate.svg: study.yaml has several networks or datasets; choose one with --set, or leave -o out\n",
    )


def test_experiments_of_several_training_sets_are_drawn_each_with_its_own(file, tmp_path):
    methods = [{"method": "snapshot", "train_size": 60}, {"method": "single", "train_size": 400, "cycles": 7}]
    write(tmp_path / "study.yaml", STUDY | {"methods": methods})
    code, out, errors = snapshot("estimate", "study.yaml", "--steps", "0", "-o", "rate.svg")
    assert (code, errors, out.splitlines()[0]) == (0, "", "rate.svg")


def test_a_narrow_terminal_cuts_no_number_off(monkeypatch, capsys):
    table = Table("network", box=None)
    for heading in "runs", "disk":
        table.add_column(heading, no_wrap=True)
    table.add_row("wide-resnet-8-2, dropout", "5 of 5", "1,234.5 MB")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "20")
    options.show([table])
    assert "5 of 5  1,234.5 MB" in capsys.readouterr().out
