import csv
import shutil
from dataclasses import replace

import numpy as np
import pytest
from fabricated_runs import experiment, finish, finish_cells, study

from snapshot_cli.errors import UserError
from snapshot_cli.reporting import entries, figures, numbers, report
from snapshot_cli.reporting.entries import Entry

LABELS = np.arange(20) % 10


@pytest.fixture
def drawn(monkeypatch):
    """Record the curves, the single model and the title of every panel of the figures against ensemble size."""
    calls = []
    original = figures.ensemble_size

    def record(panels):
        calls.extend(
            ({curve.label: list(curve.errors) for curve in panel.curves}, panel.single, panel.title) for panel in panels
        )
        return original(panels)

    monkeypatch.setattr(figures, "ensemble_size", record)
    return calls


def write(asked, results):
    return report.draw(asked, results, {}).write(results)


def rows(asked, results):
    return [numbers.row(entry) for entry in entries.collect(asked, results, {})]


def test_replicates_have_a_mean_and_an_interval(tmp_path, drawn):
    asked = study(experiment("single", replicates=3), experiment(replicates=3))
    # The last snapshots of seeds 0, 1, 2 are wrong on 1, 2, 3 of 20 images: 5, 10, 15 %.
    finish_cells(asked, tmp_path, lambda run, k: run.seed + 1 if k == 2 else 0)
    single, snapshots = rows(asked, tmp_path)
    # t of 2 degrees of freedom at 97.5 % is 4.30265, the deviation 5, so 4.30265 * 5 / sqrt(3) = 12.4207.
    assert (single.error, single.spread, single.replicates) == (pytest.approx(10), pytest.approx(12.4207, abs=1e-4), 3)
    # Of two members that differ on an image the label, which has the lower number, wins: unless the label is 9.
    assert (snapshots.error, snapshots.spread) == (0.0, 0.0)
    assert (single.missing, single.runs, snapshots.missing, snapshots.runs) == (0, 3, 0, 3)

    paths = write(asked, tmp_path)
    assert [path.name for path in paths] == ["table.md", "table.csv", "table.tex", "figure.svg", "figure.png"]
    assert drawn == [({"Snapshot (α₀ = 0.1)": [10.0, 0.0]}, 10.0, "ResNet-8 on Digits")]
    lines = list(csv.DictReader((tmp_path / "table.csv").read_text().splitlines()))
    assert [(line["method"], float(line["error"])) for line in lines] == [
        ("Single model", pytest.approx(10)), ("Snapshot (α₀ = 0.1)", 0.0)
    ]  # fmt: skip


def test_replicates_that_are_missing_are_left_out_and_counted(tmp_path):
    asked = study(experiment("ensemble", replicates=2))
    first = study(experiment("ensemble", seed=0))
    finish_cells(first, tmp_path, lambda run, k: 2)  # seeds 0 and 1; two replicates need 0, 2 and 1, 3
    (line,) = rows(asked, tmp_path)
    assert (line.error, line.replicates, line.missing, line.runs) == (None, 0, 2, 4)
    finish_cells(study(experiment("single", seed=2)), tmp_path, lambda run, k: 2)
    (line,) = rows(asked, tmp_path)
    assert (line.error, line.spread, line.replicates, line.missing, line.runs) == (10.0, None, 1, 1, 4)


PAPERS = {"dataset": "cifar10", "network": "resnet-110", "budget": 200, "cycles": 5}


@pytest.mark.parametrize(
    ("method", "settings", "value"),
    [
        ("single", {}, (5.52, "rerun")),
        ("snapshot", {"alpha0": 0.2}, (5.32, "rerun")),
        ("snapshot", {"seed": 3}, (5.73, "rerun")),
        ("snapshot", {"dataset": "cifar100"}, (25.55, "rerun")),
        ("single", {"network": "densenet-40-12", "budget": 300, "cycles": 6}, (5.24, "copied")),
        ("dropout", {"network": "wide-resnet-32-4"}, (4.68, "rerun")),
        ("snapshot", {"budget": 100}, None),
        ("snapshot", {"cycles": 4}, None),
        ("snapshot", {"alpha0": 0.3}, None),
        ("snapshot", {"train_size": 45_000}, None),
        ("snapshot", {"holdout": 100}, None),
        ("snapshot", {"batch_size": 128}, None),
        ("snapshot", {"dropout": 0.2}, None),
        ("snapshot", {"momentum": 0.8}, None),
        ("snapshot", {"nesterov": False}, None),
        ("snapshot", {"weight_decay": 5e-4}, None),
        ("snapshot", {"padding": 2}, None),
        ("snapshot", {"flip": False}, None),
        ("snapshot", {"precision": "bfloat16"}, None),
        ("single", {"drops": (0.5,)}, None),
        ("snapshot", {"network": "resnet-56"}, None),
        ("snapshot", {"dataset": "cifar10-16"}, None),
        ("ensemble", {}, None),
    ],
)
def test_the_papers_value_is_for_the_papers_experiment_alone(method, settings, value):
    asked = Entry(experiment(method, **PAPERS | settings), "label", (), 1, 1)
    found = entries.paper_value(asked)
    assert (found and (found.value, found.status)) == value
    assert entries.paper_value(replace(asked, split="holdout")) is None


def test_the_papers_test_errors_never_stand_beside_errors_on_withheld_images(tmp_path):
    asked = experiment("single", dataset="svhn", network="wide-resnet-32-4", budget=40, cycles=5, holdout=6000)
    asked = study(asked, render={"table": "methods"}, split="holdout")
    write(asked, tmp_path)
    assert "paper" not in (tmp_path / "table.md").read_text()
    write(asked.model_copy(update={"split": "test"}), tmp_path)
    assert "SVHN paper" in (tmp_path / "table.md").read_text()


def test_the_papers_value_stands_beside_ours(tmp_path):
    asked = study(experiment(**PAPERS), render={"table": "methods"})
    finish_cells(asked, tmp_path, lambda run, k: 1)
    write(asked, tmp_path)
    line = (tmp_path / "table.md").read_text().splitlines()[4]
    assert [cell.strip() for cell in line.strip("|").split("|")] == [
        "ResNet-110", "Snapshot (α₀ = 0.1)", "5.00", "5.73", "−0.73"
    ]  # fmt: skip


def test_equal_methods_have_labels_that_differ(tmp_path, drawn):
    asked = study(experiment(), experiment(cycles=4), experiment(batch_size=32))
    finish_cells(asked, tmp_path, lambda run, k: k)
    write(asked, tmp_path)
    labels = [
        "Snapshot (α₀ = 0.1), batch_size 64, cycles 2",
        "Snapshot (α₀ = 0.1), batch_size 64, cycles 4",
        "Snapshot (α₀ = 0.1), batch_size 32, cycles 2",
    ]
    assert [line.method for line in rows(asked, tmp_path)] == labels
    assert [list(curves) for curves, _, _ in drawn] == [labels]
    # The last m of members with 1, 2, 3, 4 mistakes are wrong where most of them are; of two the label wins.
    assert drawn[0][0][labels[1]][:3] == [20.0, 15.0, 15.0]


def test_a_figure_for_each_network_and_a_panel_for_each_dataset(tmp_path, drawn):
    pairs = [("resnet-8", "digits"), ("resnet-14", "digits"), ("resnet-8", "cifar10")]
    asked = study(*[experiment(m, network=n, dataset=d) for n, d in pairs for m in ("single", "snapshot")])
    finish_cells(asked, tmp_path, lambda run, k: k if run.dataset == "digits" else 3)
    paths = write(asked, tmp_path)
    assert [path.name for path in paths if path.suffix == ".svg"] == [
        "figure-resnet-8.svg", "figure-resnet-14.svg"
    ]  # fmt: skip
    assert drawn == [
        ({"Snapshot (α₀ = 0.1)": [10.0, 5.0]}, 10.0, "ResNet-8 on Digits"),
        ({"Snapshot (α₀ = 0.1)": [15.0, 15.0]}, 15.0, "ResNet-8 on CIFAR-10"),
        ({"Snapshot (α₀ = 0.1)": [10.0, 5.0]}, 10.0, "ResNet-14 on Digits"),
    ]


def test_nothing_finished_gives_a_table_of_dashes_and_no_figure(tmp_path):
    paths = write(study(experiment("single"), experiment()), tmp_path)
    assert [path.name for path in paths] == ["table.md", "table.csv", "table.tex"]
    assert [(line.error, line.missing, line.runs) for line in rows(study(experiment()), tmp_path)] == [(None, 1, 1)]


@pytest.mark.parametrize("settings", [{"budget": 2}, {"train_size": 100}, {"seed": 9}, {"batch_size": 32}])
def test_a_shortened_or_other_run_never_enters_a_table_of_whole_ones(tmp_path, settings):
    finish_cells(study(experiment(**settings)), tmp_path, lambda run, k: 1)
    (line,) = rows(study(experiment()), tmp_path)
    assert (line.error, line.missing, line.runs) == (None, 1, 1)
    (whole,) = finish_cells(study(experiment()), tmp_path, lambda run, k: 2)
    (short,) = (path.parent for path in tmp_path.rglob("done.json") if path.parent != whole.path)
    shutil.rmtree(whole.path)
    shutil.copytree(short, whole.path)  # put in its place by hand
    with pytest.raises(UserError, match=f"{whole.path}: holds another run: {next(iter(settings))} differ"):
        rows(study(experiment()), tmp_path)


def test_single_models_alone_have_no_figure(tmp_path):
    asked = study(experiment("single"), experiment("single", budget=8), render={"figure": "ensemble-size"})
    finish_cells(asked, tmp_path, lambda run, k: 1)
    assert write(asked, tmp_path) == []


def test_nan_is_never_averaged_away(tmp_path):
    asked = study(experiment("single", replicates=2))
    directories = finish_cells(asked, tmp_path, lambda run, k: 1)
    run = directories[1].run
    shutil.rmtree(directories[1].path)
    finish(run, tmp_path, [np.full((20, 10), np.nan, np.float32)] * 2, LABELS)
    (line,) = rows(asked, tmp_path)
    assert np.isnan(line.error)
    assert line.replicates == 2


RENDERS = {"rows": "methods", "metrics": "metrics", "size": "ensemble-size", "line": "interpolation"}


def test_a_half_finished_study_names_what_is_missing(tmp_path):
    asked = study(experiment("single", replicates=2), experiment(), experiment("dropout"), render=RENDERS)
    finish_cells(study(experiment("single"), experiment()), tmp_path, lambda run, k: 1)
    sheet = report.draw(asked, tmp_path, {}, called="mine")
    note = (
        "Not finished: ResNet-8 on Digits, Single model (1 of 2 seeds so far); ResNet-8 on Digits, Dropout. "
        "snapshot reproduce mine trains what is missing."
    )
    rows, metrics, size = sheet.drawn
    assert rows.block().notes[:2] == [
        "¹ 1 replicate so far; 1 of 2 runs missing: snapshot reproduce mine trains it",
        "² 1 of 1 run missing: snapshot reproduce mine trains it",
    ]
    assert [each.notes[-1] for each in (metrics, size)] == [note, note]
    assert "Nothing to draw yet: line. Train what is missing" in report.page([sheet], title="T")
    metrics.write(tmp_path)
    assert (tmp_path / "metrics.md").read_text().endswith(f"{note}\n")


def test_many_unfinished_experiments_are_counted(tmp_path):
    asked = study(*[experiment(cycles=m) for m in range(2, 10)], render={"m": "metrics"})
    finish_cells(experiment(cycles=2), tmp_path, lambda run, k: 1)
    (table,) = report.draw(asked, tmp_path, {}).drawn
    assert table.notes[-1].count(";") == 5
    assert table.notes[-1].endswith("cycles 8 and 1 more.")


def test_losses_are_not_scored_on_test_images(tmp_path):
    asked = study(experiment(), render={"loss": "loss"})
    finish_cells(asked, tmp_path, lambda run, k: 1, rows=[{"epoch": 1, "iteration": 10, "train_loss": 2.0}])
    assert "Scored on" not in report.page([report.draw(asked, tmp_path, {})], title="T")


def test_experiments_on_different_images_of_one_name_stand_in_no_table(tmp_path):
    asked = study(experiment("single"), experiment())
    finish_cells(experiment("single"), tmp_path, lambda run, k: 1)
    (other,) = finish_cells(experiment(), tmp_path, lambda run, k: 1, dataset_hash="other")
    with pytest.raises(UserError, match=f"^{other.path}: was trained on other images than those prepared as 'digits'"):
        report.draw(asked, tmp_path, {})
