import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
from fabricated_runs import experiment, finish, finish_cells, study

from snapshot_cli.analysis import outcomes
from snapshot_cli.analysis.outcomes import Outcome
from snapshot_cli.config import kinds
from snapshot_cli.errors import UserError
from snapshot_cli.reporting import page, report

LABELS = np.arange(20) % 10


def collect(asked, results):
    return outcomes.collect(asked, results, {})


def write(asked, results, **options):
    return [path.name for path in report.write(report.draw(asked, results, {}).drawn, results, **options).paths]


def test_replicates_have_a_mean_and_an_interval(tmp_path):
    asked = study(experiment("single", replicates=3), experiment(replicates=3))
    # The last snapshots of seeds 0, 1, 2 are wrong on 1, 2, 3 of 20 images: 5, 10, 15 %.
    finish_cells(asked, tmp_path, lambda run, k: run.seed + 1 if k == 2 else 0)
    single, snapshots = collect(asked, tmp_path)
    # t of 2 degrees of freedom at 97.5 % is 4.30265, the deviation 5, so 4.30265 * 5 / sqrt(3) = 12.4207.
    assert (single.error, outcomes.half_width(single.errors)) == (
        pytest.approx(10),
        pytest.approx(12.4207, abs=1e-4),
    )
    # Of two members that differ on an image the label, which has the lower number, wins: unless the label is 9.
    assert snapshots.errors == [0.0, 0.0, 0.0]
    assert [(each.seeds, each.is_complete) for each in (single, snapshots)] == [("3 seeds", True)] * 2
    assert write(asked, tmp_path) == ["table.md", "table.csv", "table.tex", "figure.svg", "figure.png"]


def test_replicates_that_are_missing_are_left_out_and_counted(tmp_path):
    asked = study(experiment("ensemble", replicates=2))
    finish_cells(study(experiment("single", seed=1)), tmp_path, lambda run, k: 2)
    (outcome,) = collect(asked, tmp_path)
    assert (outcome.scores, outcome.seeds) == ({}, "0 of 2 seeds")
    finish_cells(study(experiment("ensemble", seed=1)), tmp_path, lambda run, k: 2)
    (outcome,) = collect(asked, tmp_path)
    assert (list(outcome.scores), outcome.error) == ([1], 10.0)
    assert (outcome.seeds, outcome.is_complete) == ("1 of 2 seeds", False)


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
    asked = Outcome(experiment(method, **PAPERS | settings), "label", {})
    found = outcomes.paper_value(asked)
    assert (found and (found.value, found.status)) == value
    assert outcomes.paper_value(replace(asked, split="holdout")) is None


def test_equal_methods_have_labels_that_differ(tmp_path):
    asked = study(experiment(), experiment(cycles=4), experiment(batch_size=32))
    assert [outcome.label for outcome in collect(asked, tmp_path)] == [
        "Snapshot (α₀ = 0.1), batch_size 64, cycles 2",
        "Snapshot (α₀ = 0.1), batch_size 64, cycles 4",
        "Snapshot (α₀ = 0.1), batch_size 32, cycles 2",
    ]


def test_nothing_finished_writes_nothing(tmp_path):
    sheet = report.draw(study(experiment("single"), experiment()), tmp_path, {})
    assert (list(sheet.drawn), sheet.cells) == ([], 0)
    assert sheet.empty == ["table needs a finished experiment", "figure needs a method with several members"]
    assert report.write(sheet.drawn, tmp_path).paths == []
    assert list(tmp_path.iterdir()) == []


def test_what_rests_on_more_scores_is_kept(tmp_path):
    asked = study(experiment("single", replicates=2), experiment(), render={"table": "methods"})
    finish_cells(asked, tmp_path, lambda run, k: 1)
    assert write(asked, tmp_path) == ["table.md", "table.csv", "table.tex"]
    assert json.loads((tmp_path / "drawn.json").read_text()) == {"table": {"title": "Mine", "cells": 3}}
    before = (tmp_path / "table.md").read_bytes()
    next(tmp_path.glob("scores/*/*-single-*seed1*")).unlink()
    shutil.rmtree(next(tmp_path.glob("runs/*/*step*seed1*")))
    sheet = report.draw(asked, tmp_path, {})
    assert report.write(sheet.drawn, tmp_path) == report.Written([], ["table"])
    assert (tmp_path / "table.md").read_bytes() == before
    assert write(asked, tmp_path, force=True) == ["table.md", "table.csv", "table.tex"]
    assert (tmp_path / "table.md").read_bytes() != before
    assert json.loads((tmp_path / "drawn.json").read_text()) == {"table": {"title": "Mine", "cells": 2}}


def test_the_page_is_kept_likewise(tmp_path):
    asked = study(experiment("single"), experiment())
    finish_cells(asked, tmp_path, lambda run, k: 1)
    full = report.draw(asked, tmp_path, {})
    assert [path.name for path in report.write_page([full], tmp_path, title="T").paths] == ["report.html"]
    part = report.draw(study(experiment("single")), tmp_path, {})
    assert report.write_page([part], tmp_path, title="T") == report.Written([], ["report.html"])
    assert report.write_page([part], tmp_path, title="T", force=True).kept == []


@pytest.mark.parametrize("settings", [{"budget": 2}, {"train_size": 100}, {"seed": 9}, {"batch_size": 32}])
def test_a_shortened_or_other_run_never_enters_a_table_of_whole_ones(tmp_path, settings):
    finish_cells(study(experiment(**settings)), tmp_path, lambda run, k: 1)
    (outcome,) = collect(study(experiment()), tmp_path)
    assert outcome.scores == {}
    (whole,) = finish_cells(study(experiment()), tmp_path, lambda run, k: 2)
    (short,) = (path.parent for path in tmp_path.rglob("done.json") if path.parent != whole.path)
    shutil.rmtree(whole.path)
    shutil.copytree(short, whole.path)  # put in its place by hand
    with pytest.raises(UserError, match=f"{whole.path}: holds another run: {next(iter(settings))} differ"):
        collect(study(experiment()), tmp_path)


def test_nan_is_never_averaged_away(tmp_path):
    asked = study(experiment("single", replicates=2))
    directories = finish_cells(asked, tmp_path, lambda run, k: 1)
    run = directories[1].run
    shutil.rmtree(directories[1].path)
    finish(run, tmp_path, [np.full((20, 10), np.nan, np.float32)] * 2, LABELS)
    (outcome,) = collect(asked, tmp_path)
    assert np.isnan(outcome.error)
    assert len(outcome.scores) == 2


def test_a_half_finished_study_names_what_is_missing(tmp_path):
    renders = {"rows": "methods", "size": "ensemble-size", "line": "interpolation"}
    asked = study(experiment("single", replicates=2), experiment(), experiment("dropout"), render=renders)
    finish_cells(study(experiment("single"), experiment()), tmp_path, lambda run, k: 1)
    html = page.page([report.draw(asked, tmp_path, {}, argument="mine")], title="T")
    assert "Not drawn: line needs errors between snapshots, which --interpolate stores." in html
    assert "2 of 3 experiments are not finished" in html
    names = re.findall(r"<li>([^<]*: \d of \d seeds?)</li>", html)
    assert names == ["ResNet-8 on Digits, Single model: 1 of 2 seeds", "ResNet-8 on Digits, Dropout: 0 of 1 seed"]
    assert html.count("<code>snapshot reproduce mine</code>") == 1
    assert html.count("<code>snapshot report mine</code>") == 1


def test_experiments_on_different_images_of_one_name_stand_in_no_table(tmp_path):
    asked = study(experiment("single"), experiment())
    finish_cells(experiment("single"), tmp_path, lambda run, k: 1)
    (other,) = finish_cells(experiment(), tmp_path, lambda run, k: 1, dataset_hash="other")
    with pytest.raises(
        UserError, match=f"^{other.run.run_id}: was trained on other images than those prepared as 'digits'"
    ):
        report.draw(asked, tmp_path, {})


TOY = '''"""Draw the number of finished replicates, to show how a figure is added."""

from matplotlib.figure import Figure

from snapshot_cli.reporting.drawn import Picture


def draw(outcomes, request):
    """Draw a bar an experiment."""

    def figure():
        figure = Figure(figsize=(3.4, 2.5))
        figure.add_subplot().bar(range(len(outcomes)), [len(outcome.scores) for outcome in outcomes])
        return figure

    cells = sum(len(outcome.scores) for outcome in outcomes)
    return [Picture(request, "How many?", figure, "bars", cells)] if cells else []
'''


def test_a_new_kind_of_figure_is_one_file(tmp_path, monkeypatch):
    """Studies, the schema and, in a process of its own, `plot` know it by its place alone."""
    from command_line import STUDY, snapshot, write

    from snapshot_cli.config import schema
    from snapshot_cli.config.load import load
    from snapshot_cli.reporting import figures

    (tmp_path / "kinds").mkdir()
    (tmp_path / "kinds" / "finished_seeds.py").write_text(TOY)
    monkeypatch.setattr(figures, "__path__", [*figures.__path__, str(tmp_path / "kinds")])
    monkeypatch.setattr(figures.__spec__, "submodule_search_locations", figures.__path__)
    monkeypatch.chdir(tmp_path)
    assert "finished-seeds" in kinds.figures()
    assert "finished-seeds" in schema.study()["$defs"]["Drawing"]["properties"]["kind"]["enum"]
    file = write(
        tmp_path / "s.yaml",
        {"title": "T", "base": STUDY["base"], "methods": ["snapshot"], "render": {"f": "finished-seeds"}},
    )
    finish_cells(load(file), tmp_path / "results/own", lambda run, k: k)
    code, out, _ = snapshot("report", "s.yaml")
    assert (code, out.splitlines()[:2]) == (0, ["results/own/f.svg", "results/own/f.png"])
    code, _, errors = snapshot("report", "s.yaml", "--set", "render={f: finishd-seeds}")
    assert (code, "did you mean 'finished-seeds'?" in errors) == (2, True)


def test_another_study_of_the_same_name_is_not_kept(tmp_path):
    large = study(experiment("single"), experiment(), render={"table": "methods"})
    finish_cells(large, tmp_path, lambda run, k: 1)
    small = study(experiment("single"), render={"table": "methods"}, title="Other")
    for each in (large, small, large):
        sheet = report.draw(each, tmp_path, {})
        assert report.write(sheet.drawn, tmp_path).kept == []
        assert each.title in (tmp_path / "table.md").read_text()
        assert report.write_page([sheet], tmp_path, title=each.title).kept == []


def test_a_figure_called_report_is_no_page(tmp_path):
    asked = study(experiment("single"), experiment(), render={"report": {"kind": "methods", "match": {"cycles": 2}}})
    finish_cells(asked, tmp_path, lambda run, k: 1)
    for _ in range(2):
        sheet = report.draw(asked, tmp_path, {})
        assert report.write(sheet.drawn, tmp_path).kept == []
        assert report.write_page([sheet, sheet], tmp_path, title="T").kept == []


@pytest.mark.parametrize("text", ['{"table": 3}', "[]", "{", '{"table": {"title": "Mine"}}', '{"table": null}'])
def test_an_index_that_is_none_keeps_nothing(tmp_path, text):
    asked = study(experiment("single"), render={"table": "methods"})
    finish_cells(asked, tmp_path, lambda run, k: 1)
    (tmp_path / "drawn.json").write_text(text)
    (tmp_path / "table.md").write_text("old")
    assert write(asked, tmp_path) == ["table.md", "table.csv", "table.tex"]
    assert json.loads((tmp_path / "drawn.json").read_text()) == {"table": {"title": "Mine", "cells": 1}}
