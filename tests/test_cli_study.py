import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import CHECKOUT, EXPERIMENT, STUDY, snapshot, write
from fabricated_runs import finish, finish_cells, wrong

from snapshot_cli.config import plan
from snapshot_cli.config.load import load
from snapshot_cli.launch.failure import Failure
from snapshot_cli.run_directory import RunDirectory

FILES = ["table.md", "table.csv", "table.tex", "figure.svg", "figure.png"]
PAGE = "results/own/report.html\n"
DRAWN = "".join(f"results/own/{name}\n" for name in FILES) + PAGE


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SNAPSHOT_DATA_DIR", raising=False)


@pytest.fixture
def study(tmp_path):
    return load(write(tmp_path / "study.yaml", STUDY))


@pytest.fixture
def trainings(monkeypatch):
    """Record what would be trained, on a machine without a GPU; every run fails but those in `finishes`."""
    calls = []

    def train_all(runs, machine, sources, *, gpus, progress, stop):
        calls.append((list(runs), [list(sources[run]) for run in runs], list(gpus)))
        return [Failure(run.run_id, "the loss is not finite at step 3", Path("nowhere")) for run in runs[:1]]

    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("snapshot_cli.launch.slots.train_all", train_all)
    return calls


def test_dry_run_lists_status_and_images(tmp_path, study):
    single, snapshots, second = plan.runs(study)
    finish(single, tmp_path / "results/own", [wrong([1, 2], 0)] * 2, [1, 2])
    RunDirectory.of(second, tmp_path / "results/own").start(second, {})
    assert snapshot("reproduce", "study.yaml", "--dry-run") == (
        0,
        "status          images  run\n"
        f"done             1,600  {single.run_id}\n"
        f"waiting          1,600  {snapshots.run_id}\n"
        f"unfinished       1,600  {second.run_id}\n"
        "3 runs, 1 done; 3,200 of 4,800 training images to go\n",
        "",
    )
    assert snapshot("reproduce", "study.yaml", "--dry-run", "--set", "methods=[single]", "--set", "train_size=100")[1] \
        .splitlines()[-1] == "1 run, 0 done; 400 of 400 training images to go"  # fmt: skip


def test_paper_study_counts():
    code, out, errors = snapshot("reproduce", "table1", "--dry-run")
    assert (code, errors) == (0, "")
    assert out.splitlines()[-1] == "129 runs, 0 done; 1,025,097,280 of 1,025,097,280 training images to go"


@pytest.mark.parametrize("verb", ["reproduce", "report"])
@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "demo/tabel1",
            "demo/tabel1: no such study; did you mean 'demo/table1'? "
            "For a file of your own: give its path, ending in .yaml",
        ),
        ("nowhere.yml", "nowhere.yml: no such file"),
        (
            "demo/snapshot",
            f"{CHECKOUT}/configs/demo/snapshot.yaml: expected a study (title, methods, ...), given one experiment; "
            "snapshot train demo/snapshot trains it, snapshot eval, compare and plot show it",
        ),
        (
            "e.yaml",
            "e.yaml: expected a study (title, methods, ...), given one experiment; "
            "snapshot train e.yaml trains it, snapshot eval, compare and plot show it",
        ),
    ],
)  # fmt: skip
def test_what_is_no_study(tmp_path, verb, name, message):
    if name == "e.yaml":
        write(tmp_path / name, EXPERIMENT)
    assert snapshot(verb, name) == (2, "", message + "\n")


@pytest.mark.parametrize("name", ["table1", str(CHECKOUT / "configs/studies/table1.yaml")])
def test_too_large_for_what_is_here(tmp_path, trainings, name):
    write(tmp_path / "configs/studies/small/table1.yaml", STUDY)
    code, out, errors = snapshot("reproduce", name)
    assert (code, out, trainings) == (1, "", [])
    assert errors == (
        "Table 1: error rates (%) on CIFAR-10, CIFAR-100, SVHN and Tiny ImageNet: 129 runs, 0 finished, 129 to train\n"
        f"{name}: 129 runs with 1,025,097,280 training images to go, and no GPU here: this would take weeks.\n"
        "A size for CPUs: snapshot reproduce small/table1\n"
        f"To train it here anyway: snapshot reproduce {name} --device cpu\n"
    )


@pytest.mark.parametrize(
    ("visible", "expected"),
    [(None, ["0", "1"]), ("", ["0", "1"]), ("3, GPU-5a", ["3", "GPU-5a"]), ("3,5,7", ["3", "5"])],
)
def test_a_slot_on_every_gpu(study, trainings, monkeypatch, visible, expected):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    for words, places in (
        ([], expected),
        (["--per-gpu", "2"], (expected * 2)[:3]),
        (["--device", "cpu", "--jobs", "1"], [""]),
    ):
        snapshot("reproduce", "study.yaml", *words)
        assert trainings.pop()[2] == places


def test_too_large_names_no_size_that_is_not_there(tmp_path, trainings):
    write(tmp_path / "mine.yaml", STUDY | {"base": STUDY["base"] | {"budget": 100_000}})
    assert snapshot("reproduce", "mine.yaml")[2].splitlines()[1:] == [
        "mine.yaml: 3 runs with 120,000,000 training images to go, and no GPU here: this would take weeks.",
        "To train it here anyway: snapshot reproduce mine.yaml --device cpu",
    ]


def test_a_large_one_is_trained_when_the_cpu_was_asked_for(tmp_path, trainings):
    write(tmp_path / "mine.yaml", STUDY | {"base": STUDY["base"] | {"budget": 100_000}})
    assert snapshot("reproduce", "mine.yaml", "--device", "cpu")[0] == 1
    assert len(trainings) == 1


def test_a_study_with_failures_draws_what_it_has_and_says_what_failed(tmp_path, study, trainings):
    single, snapshots, second = plan.runs(study)
    finish(single, tmp_path / "results/own", [wrong([1, 2], 1)] * 2, [1, 2])
    words = ("reproduce", "study.yaml", "--jobs", "2", "--set", "title=A study")
    code, out, errors = snapshot(*words)
    assert (code, lines(out)[3]) == (1, "Single model 50.00 1 of 1")
    assert "All tables and figures (4 files): open results/own/report.html in a browser" in lines(out)
    assert errors == (
        "A study: 3 runs, 1 finished, 2 to train\n"
        "1 of 2 runs failed:\n"
        f"{snapshots.run_id}: the loss is not finite at step 3\n"
    )
    assert trainings == [([snapshots, second], [["study.yaml", "--set", "title=A study"]] * 2, ["", ""])]
    assert "| Single model        |    50.00 |" in (tmp_path / "results/own/table.md").read_text()


def test_a_finished_study_trains_nothing_and_says_so(tmp_path, study, trainings):
    finish_cells(study, tmp_path / "results/own", lambda run, k: k)
    code, out, errors = snapshot("reproduce", "study.yaml")
    assert (code, errors) == (0, "A study: all 3 runs finished before, nothing to train\n")
    assert lines(out) == [
        "A study",
        "method error (%) seeds",
        "─" * 40,
        "Single model 10.00 1 of 1",
        "Snapshot (α₀ = 0.1) 5.00 1 of 1",
        "True ensemble 10.00 1 of 1",
        "All tables and figures (6 files): open results/own/report.html in a browser",
        "Next:",
        "snapshot compare study.yaml compare the methods pair by pair",
        "snapshot init write an experiment file of your own",
    ]
    assert trainings == []


def test_the_claims_that_the_runs_decide_are_printed(tmp_path):
    settings = STUDY | {"base": STUDY["base"] | {"replicates": 3}, "methods": ["single", "nocycle", "snapshot"]}
    study = load(write(tmp_path / "study.yaml", settings))
    mistakes = {"step": 80, "cosine": 2}
    finish_cells(study, tmp_path / "results/own", lambda run, k: mistakes[run.schedule] + run.seed % 2, examples=200)
    shown = lines(snapshot("reproduce", "study.yaml")[1])
    assert shown[3] == "Single model 40.17 ± 0.72 3 of 3"
    assert shown[6] == "Claims of the paper decided here: 2 of 2; table.md has all, and the rule"
    text = " ".join(shown[7:])
    for claim in ("Snapshot (α₀ = 0.1) beats the single model", "Snapshot (α₀ = 0.1) beats NoCycle"):
        assert f"{claim}: yes, by 39.00 points [" in text


def lines(text):
    """Return the words of every line of an output that has some, one space between them."""
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


def test_a_half_finished_study_has_dashes_and_footnotes(tmp_path, study):
    finish(plan.runs(study)[0], tmp_path / "results/own", [wrong([1, 2, 3, 4], 1)] * 2, [1, 2, 3, 4])
    assert snapshot("report", "study.yaml") == (0, "".join(f"results/own/{name}\n" for name in FILES[:3]) + PAGE, "")
    assert (tmp_path / "results/own/table.md").read_text() == (
        "# A study\n\n"
        "| network   | method              |   Digits |\n"
        "|:----------|:--------------------|---------:|\n"
        "| ResNet-8  | Single model        |    25.00 |\n"
        "| ResNet-8  | Snapshot (α₀ = 0.1) |       –¹ |\n"
        "| ResNet-8  | True ensemble       |       –¹ |\n\n"
        "¹ not finished: snapshot reproduce study.yaml trains it\n\n"
        "Errors in percent. One seed each.\n"
    )


def test_a_study_without_drawings_has_a_table_named_after_it(tmp_path, trainings):
    file = write(tmp_path / "mine.yaml", {key: value for key, value in STUDY.items() if key != "render"})
    finish_cells(load(file), tmp_path / "results/own", lambda run, k: 2)
    code, out, errors = snapshot("reproduce", file)
    assert (code, trainings) == (0, [])
    assert "Single model" in out
    assert "nothing" not in errors.replace("nothing to train", "")
    assert snapshot("report", file)[1].split() == [
        f"results/own/{name}" for name in ("mine.md", "mine.csv", "mine.tex", "report.html")
    ]


def test_a_finished_study_whose_drawing_needs_more_says_what(tmp_path, trainings):
    file = write(tmp_path / "mine.yaml", STUDY | {"methods": ["single"], "render": {"sizes": "ensemble-size"}})
    finish_cells(load(file), tmp_path / "results/own", lambda run, k: 2)
    code, out, errors = snapshot("reproduce", file)
    assert (code, trainings) == (0, [])
    assert f"{file}: nothing to draw: sizes needs a method with several members\n" in errors
    assert "Single model" in out


def test_finished_cells_that_no_drawing_shows_are_not_called_nothing(tmp_path, trainings):
    drawn = {"sizes": {"kind": "ensemble-size", "match": {"method": "snapshot"}}}
    file = write(tmp_path / "mine.yaml", STUDY | {"render": drawn})
    finish_cells(load(file, ["methods=[single]", "render={}"]), tmp_path / "results/own", lambda run, k: 2)
    code, _, errors = snapshot("report", file)
    assert code == 0
    assert f"{file}: nothing that it draws is finished; type snapshot reproduce {file}\n" in errors


def test_a_report_renders_its_figures_in_parallel(tmp_path, study, monkeypatch):
    finish_cells(study, tmp_path / "results/own", lambda run, k: 1)
    groups = []
    monkeypatch.setattr("snapshot_cli.reporting.rendering.render", lambda given: groups.extend(given))
    assert snapshot("report", "study.yaml") == (0, DRAWN, "")
    assert [str(folder) for _, folder in groups] == ["results/own"]


def test_a_diverged_run_stays_nan(tmp_path, study):
    finish_cells(study, tmp_path / "results/own", lambda run, k: 1)
    run = plan.runs(study)[1]
    shutil.rmtree(RunDirectory.of(run, tmp_path / "results/own").path)
    nan = np.full((20, 10), np.nan, np.float32)
    finish(run, tmp_path / "results/own", [wrong(np.arange(20) % 10, 1), nan], np.arange(20) % 10)
    assert snapshot("report", "study.yaml") == (0, DRAWN, "")
    assert "| ResNet-8  | Snapshot (α₀ = 0.1) |      nan |" in (tmp_path / "results/own/table.md").read_text()
    assert ",nan,1," in (tmp_path / "results/own/table.csv").read_text().splitlines()[2]


def test_a_run_really_trained_in_a_process_of_its_own(tmp_path):
    """Two runs that fail at once, as their images are gone; the log has the reason."""
    base = {"dataset": "cifar10", "network": "resnet-8", "budget": 4, "cycles": 2, "train_size": 100}
    write(tmp_path / "study.yaml", STUDY | {"base": base})
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-m", "snapshot_cli", "reproduce", "study.yaml", "--device", "cpu"]
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[1].startswith("cifar10: not prepared; type: snapshot data prepare")
    assert "Traceback" not in done.stderr


@pytest.fixture
def two(tmp_path):
    """Two studies that share two runs, and one experiment's lines between snapshots."""
    write(tmp_path / "a.yaml", STUDY | {"render": {"table": "methods"}})
    settings = {"title": "Lines", "methods": ["nocycle", "snapshot"], "render": {"lines": "interpolation"}}
    write(tmp_path / "b.yaml", STUDY | settings)
    return load(tmp_path / "a.yaml"), load(tmp_path / "b.yaml")


def test_several_studies_share_their_runs(tmp_path, two):
    single, snapshots, second = plan.runs(two[0])
    assert plan.runs(two[1]) == [single, snapshots]
    finish(single, tmp_path / "results/own", [wrong([1, 2], 0)] * 2, [1, 2])
    code, out, errors = snapshot("reproduce", "a.yaml", "b.yaml", "--dry-run")
    assert (code, errors) == (0, "")
    assert [line.split()[-1] for line in out.splitlines()[1:4]] == [r.run_id for r in (single, snapshots, second)]
    assert out.splitlines()[4:] == [
        "3 runs, 1 done; 3,200 of 4,800 training images to go",
        "errors between the snapshots of 2 runs to compute",
    ]


def test_lines_between_snapshots_are_computed_after_the_training(tmp_path, two, trainings):
    finish_cells(two[0], tmp_path / "results/own", lambda run, k: k)
    single, snapshots, _ = plan.runs(two[0])
    code, _, errors = snapshot("reproduce", "a.yaml", "b.yaml", "--jobs", "2")
    words = ["a.yaml", "--interpolate"]
    assert trainings == [([single, snapshots], [words, words], ["", ""])]
    assert errors.splitlines()[:2] == [
        "2 studies: all 3 runs finished before, nothing to train",
        "errors between the snapshots of 2 runs:",
    ]
    assert code == 1  # the fixture lets the first one fail
    assert "1 of 2 runs failed:" in errors
    rows = [{"snapshot": 1, "lambda": 0.0, "statistics": each, "test_error": 1.0} for each in ("final", "reestimated")]
    for run in (single, snapshots):
        RunDirectory.of(run, tmp_path / "results/own").write_interpolation(rows)
    assert snapshot("reproduce", "a.yaml", "b.yaml")[0] == 0
    assert len(trainings) == 1


def test_studies_of_two_sizes_have_no_common_folder(tmp_path):
    write(tmp_path / "configs/studies/demo/x.yaml", STUDY)
    write(tmp_path / "configs/studies/small/x.yaml", STUDY)
    assert snapshot("reproduce", "demo/x", "small/x") == (
        2, "",
        "demo/x has its results in results/demo, others in results/small; give studies of one size, or --results-dir\n",
    )  # fmt: skip


def test_the_page_has_all_studies_of_the_size_that_have_something(tmp_path):
    for name in ("table9", "figure9", "other"):
        base = STUDY["base"] | ({"budget": 8} if name == "other" else {})
        write(tmp_path / f"configs/studies/demo/{name}.yaml", STUDY | {"title": name.upper(), "base": base})
    finish_cells(load(tmp_path / "configs/studies/demo/table9.yaml"), tmp_path / "results/demo", lambda run, k: k)
    code, out, errors = snapshot("report", "demo/figure9")
    assert (code, errors, out.splitlines()[-1]) == (0, "", "results/demo/report.html")
    page = (tmp_path / "results/demo/report.html").read_text()
    assert page.index("TABLE9") < page.index("FIGURE9")
    assert "<h2>OTHER</h2>" not in page
    assert "OTHER: <code>snapshot reproduce demo/other</code>" in page


def test_a_study_that_is_not_right_is_not_on_the_page_and_costs_no_other(tmp_path):
    for name, cycles in (("table9", 2), ("broken", "two")):
        write(tmp_path / f"configs/studies/demo/{name}.yaml", STUDY | {"base": STUDY["base"] | {"cycles": cycles}})
    finish_cells(load(tmp_path / "configs/studies/demo/table9.yaml"), tmp_path / "results/demo", lambda run, k: k)
    code, out, errors = snapshot("report", "demo/table9")
    assert (code, out.splitlines()[-1]) == (0, "results/demo/report.html")
    assert errors.startswith("demo/broken is not on the page: ")
    assert "cycles" in errors


def test_what_failed_is_told_also_where_the_rest_cannot_be_drawn(tmp_path, study, trainings):
    single, snapshots, _ = plan.runs(study)
    finish(single, tmp_path / "results/own", [wrong([1, 2], 1)] * 2, [1, 2])
    damaged = RunDirectory.of(single, tmp_path / "results/own").path / "predictions/test-2.npy"
    damaged.write_bytes(b"damaged")
    code, _, errors = snapshot("reproduce", "study.yaml")
    assert code == 1
    assert f"1 of 2 runs failed:\n{snapshots.run_id}: " in errors
    assert errors.splitlines()[-1].startswith(f"{damaged.relative_to(tmp_path)}: differs from what the run wrote")


def test_shards_share_the_runs(tmp_path, study, trainings):
    every = [run.run_id for run in plan.runs(study)]
    shown = [snapshot("reproduce", "study.yaml", "--dry-run", "--shard", f"{i}/2")[1].splitlines() for i in (1, 2)]
    ids = [[line.split()[-1] for line in lines[1:-1]] for lines in shown]
    assert sorted(ids[0] + ids[1]) == sorted(every)
    assert sorted(map(len, ids)) == [1, 2]
    assert snapshot("reproduce", "study.yaml", "--shard", "2/2")[2].splitlines()[:2] == [
        "A study, shard 2/2: 1 run, 0 finished, 1 to train",
        "to draw what is finished: snapshot report study.yaml",
    ]
    assert [run.run_id for run in trainings[0][0]] == ids[1]
    assert not (tmp_path / "results/own/table.md").exists()


def test_more_shards_than_runs(study, trainings):
    assert snapshot("reproduce", "study.yaml", "--shard", "4/4") == (
        0, "",
        "A study, shard 4/4: no run in it, there are more shards than runs\n"
        "to draw what is finished: snapshot report study.yaml\n",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--shard", "3/2"], "--shard 3/2: expected i/n with i from 1 to n, such as 1/8"),
        (["--format", "commands"], "--format commands: goes with --dry-run"),
        (["--address", "auto"], "--address auto: goes with --engine ray"),
    ],
)
def test_options_that_do_not_fit(study, words, message):
    assert snapshot("reproduce", "study.yaml", *words) == (2, "", message + "\n")


def test_a_shell_command_for_each_run_that_is_to_be_trained(tmp_path, two):
    finish_cells(two[1], tmp_path / "R $HOME", lambda run, k: k)
    single, snapshots, second = plan.runs(two[0])
    words = ("b.yaml", "a.yaml", "--dry-run", "--format", "commands", "--results-dir", "R $HOME", "--threads", "2")
    code, out, errors = snapshot("reproduce", *words, "--set", "title=It's")
    assert (code, errors) == (0, "")
    run = "--data-dir data --results-dir 'R $HOME' --threads 2"
    title = """--set 'title=It'"'"'s'"""
    assert out.splitlines() == [
        f"snapshot train b.yaml {title} --interpolate --run {single.run_id} {run}",
        f"snapshot train b.yaml {title} --interpolate --run {snapshots.run_id} {run}",
        f"snapshot train a.yaml {title} --run {second.run_id} {run}",
    ]
    assert [shlex.split(line)[-3] for line in out.splitlines()] == ["R $HOME"] * 3


def test_the_page_of_an_own_study_is_named_after_it_and_replaces_that_of_another(tmp_path, study):
    write(tmp_path / "small.yaml", STUDY | {"title": "Small", "methods": ["single"]})
    note = {"study": "", "small": "not drawn: figure needs a method with several members\n"}
    finish_cells(load(tmp_path / "study.yaml"), tmp_path / "results/own", lambda run, k: k)
    for name, title in (("study", "A study"), ("small", "Small")):
        code, _, errors = snapshot("report", f"{name}.yaml")
        assert (code, errors) == (0, note[name])
        assert f"<h1>Snapshot ensembles: {title}</h1>" in (tmp_path / "results/own/report.html").read_text()
