import numpy as np
import pytest
from command_line import EXPERIMENT, NOTHING_GIVEN, STUDY, snapshot, write
from fabricated_runs import epochs, finish, finish_cells, wrong

from snapshot_cli.analysis.outcomes import score_runs
from snapshot_cli.commands.plot import KINDS
from snapshot_cli.config import plan
from snapshot_cli.config.load import load
from snapshot_cli.run_directory import RunDirectory

LABELS = np.arange(20) % 10
ROWS = [
    {"epoch": e, "iteration": 10 * e, "rate": 0.1, "train_loss": 1.0, "train_error": 9.0, "seconds": 1.0}
    for e in range(1, 5)
]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SNAPSHOT_DATA_DIR", raising=False)


@pytest.fixture
def runs(tmp_path):
    """The directories of a finished study's runs, with all that a figure can need."""
    study = load(write(tmp_path / "study.yaml", STUDY))
    for run in plan.runs(study):
        directory = finish(run, tmp_path / "results/own", [wrong(LABELS, k) for k in (2, 1)], LABELS, rows=ROWS)
        directory.write_interpolation(
            {"snapshot": 1, "lambda": weight, "statistics": statistics, "test_error": 10.0}
            for weight in (0.0, 1.0)
            for statistics in ("mixed", "final", "reestimated")
        )
    return [RunDirectory.of(run, tmp_path / "results/own").path for run in plan.runs(study)]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "budget"])
def test_every_kind_from_a_file_and_from_runs(tmp_path, runs, kind):
    assert snapshot("plot", kind, "study.yaml", "-o", "a.svg") == (0, "a.svg\n", "")
    step, cosine, _ = runs
    assert snapshot("plot", kind, step, cosine, "-o", "b.png") == (0, "b.png\n", "")
    assert (tmp_path / "a.svg").read_bytes().startswith(b"<?xml")
    assert (tmp_path / "b.png").read_bytes().startswith(b"\x89PNG")


def test_a_step_run_is_a_single_model_and_nocycle(runs):
    outcomes = score_runs([RunDirectory(path) for path in runs[:2]])
    assert [outcome.label for outcome in outcomes] == ["Single model", "NoCycle Snapshot", "Snapshot (α₀ = 0.1)"]
    assert outcomes[0].errors == [5.0]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (
            ["cost"],
            2,
            f"snapshot plot: {NOTHING_GIVEN}",
        ),
        (
            ["cost", "a", "study.yaml"],
            2,
            "snapshot plot: expected one FILE, or run directories only, given a, study.yaml",
        ),
    ],
)
def test_what_to_draw_has_to_be_said(words, code, message):
    assert snapshot("plot", *words, "-o", "f.svg") == (code, "", message + "\n")


def test_runs_that_cannot_be_drawn(tmp_path):
    (one, _) = plan.runs(load(write(tmp_path / "e.yaml", EXPERIMENT | {"method": "singlecycle", "budget": 5})))
    path = finish(one, tmp_path / "results", [wrong(LABELS, 1)], LABELS).path
    message = f"{path}: contains a single cycle, not an ensemble; give its study instead\n"
    assert snapshot("plot", "cost", path, "-o", "f.svg") == (1, "", message)
    (run,) = plan.runs(load(write(tmp_path / "e.yaml", EXPERIMENT)))
    directory = RunDirectory.of(run, tmp_path / "results")
    directory.start(run, {})
    message = f"{directory.path}: training is not finished; type snapshot train {directory.path}\n"
    assert snapshot("plot", "cost", directory.path, "-o", "f.svg") == (1, "", message)


def test_a_single_run_is_given_by_its_directory(tmp_path):
    (directory,) = finish_cells(load(write(tmp_path / "e.yaml", EXPERIMENT)), tmp_path, lambda run, k: k)
    config = directory.path / "config.yaml"
    assert snapshot("plot", "loss", config, "-o", "f.svg") == (
        2, "", f"{config}: expected an experiment or a study, given a single run; give its directory instead\n"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "needs"), [("budget", "two budgets"), ("cost", "two methods to compare, or ensembles of several runs")]
)
def test_one_experiment_is_nothing_to_compare(tmp_path, kind, needs):
    file = write(tmp_path / "e.yaml", EXPERIMENT)
    finish_cells(load(file), tmp_path / "results/own", lambda run, k: k)
    code, out, message = snapshot("plot", kind, "e.yaml", "-o", "f.svg")
    assert (code, out) == (1, "")
    assert message.startswith(f"e.yaml: has nothing to draw as {kind}, which needs {needs}")


@pytest.mark.parametrize(
    ("kind", "needs"),
    [
        ("correlation", "a method with several members"),
        ("over-time", "a run with several snapshots"),
        ("interpolation", "errors between snapshots, which --interpolate stores"),
    ],
)
def test_nothing_to_draw_of_a_single_model(tmp_path, kind, needs):
    file = write(tmp_path / "e.yaml", EXPERIMENT | {"method": "single", "cycles": 1})
    (directory,) = finish_cells(load(file), tmp_path / "results/own", lambda run, k: k)
    assert snapshot("plot", kind, "e.yaml", "-o", "f.svg") == (
        1, "", f"e.yaml: has nothing to draw as {kind}, which needs {needs}; take another KIND\n"
    )  # fmt: skip
    assert snapshot("plot", kind, directory.path, "-o", "f.svg") == (
        1, "", f"{directory.path}: nothing to draw as {kind}, which needs {needs}; give the runs' study instead\n"
    )  # fmt: skip
    assert not (tmp_path / "f.svg").exists()


@pytest.mark.parametrize(("kind", "option"), [("correlation", ""), ("interpolation", " --interpolate")])
def test_nothing_to_draw_of_what_is_finished(tmp_path, kind, option):
    file = write(tmp_path / "study.yaml", STUDY | {"methods": ["ensemble", {"method": "single", "seed": 7}]})
    words = ("plot", kind, "study.yaml", "-o", "f.svg")
    train = f"type snapshot train study.yaml{option}\n"
    assert snapshot(*words) == (1, "", f"study.yaml: nothing is finished; {train}")
    finish_cells(load(file).experiments[1], tmp_path / "results/own", lambda run, k: k)
    expected = f"study.yaml: what is finished has nothing to draw as {kind}; {train}"
    assert snapshot(*words) == (1, "", expected)


def test_no_lines_between_snapshots_are_stored(tmp_path):
    file = write(tmp_path / "e.yaml", EXPERIMENT)
    (directory,) = finish_cells(load(file), tmp_path / "results/own", lambda run, k: k)
    path = directory.path.relative_to(tmp_path)
    for words, called, trained in (["e.yaml"], "e.yaml", "e.yaml"), ([path], path, path):
        assert snapshot("plot", "interpolation", *words, "-o", "f.svg") == (
            1, "",
            f"{called}: no errors between snapshots are stored; type snapshot train {trained} --interpolate\n",
        )  # fmt: skip


def test_a_study_is_scored_on_its_own_images(tmp_path):
    """The holdout has other mistakes than the test images; the option goes before the study."""
    base = STUDY["base"] | {"holdout": 20}
    write(tmp_path / "s.yaml", STUDY | {"base": base, "methods": ["single"], "split": "holdout"})
    (run,) = plan.runs(load(tmp_path / "s.yaml"))
    directory = RunDirectory.of(run, tmp_path / "results/own")
    directory.start(run, {})
    for split, mistakes in (("test", 1), ("holdout", 4)):
        for k in (1, 2):
            directory.write_predictions(split, k, wrong(LABELS, mistakes))
        directory.write_labels(split, LABELS)
    directory.write_metrics(epochs(run, 640))
    directory.finish({"run": run.run_id, "dataset_hash": "x", "train_examples": 640})
    for words, error in (([], "20.00"), (["--split", "test"], "5.00"), (["--split", "holdout"], "20.00")):
        code, out, errors = snapshot("eval", "s.yaml", *words)
        assert (code, errors) == (0, "")
        assert error in out
    assert snapshot("report", "s.yaml")[0] == 0
    assert "20.00" in (tmp_path / "results/own/table.md").read_text()
