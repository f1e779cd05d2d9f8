import csv

import numpy as np
from fabricated_runs import experiment, finish, finish_cells, study, wrong

from snapshot_cli.config import plan
from snapshot_cli.reporting import measurements, report


def drawn(asked, results, **options):
    sheet = report.draw(asked, results, {}, **options)
    return sheet.drawn, {path.name: path.read_text() for path in sheet.write(results)}


def test_metrics(tmp_path):
    asked = study(experiment("single"), experiment(), experiment("ensemble"), render={"m": "metrics"})
    finish_cells(asked, tmp_path, lambda run, k: 4)
    (table,), files = drawn(asked, tmp_path)
    # All networks are wrong on the same 4 of 20, with probability 1/2 for their choice and 1/18 for each other class.
    cells = table.frame.loc[("ResNet-8", "Snapshot (α₀ = 0.1)")].to_dict()
    shown = {name: text for (_, name), text in cells.items()}
    # NLL: (16 ln 2 + 4 ln 18) / 20 = 1.13259. Brier: 1/4 + 9/324 where it is right, (17/18)^2 + 1/4 + 8/324 where not.
    assert shown == {
        "error": "20.00", "top-5": "0.00", "NLL": "1.1326", "Brier": "0.4556", "ECE": "0.3000",
        "calibrated NLL": shown["calibrated NLL"], "disagreement": "0.00", "equivalent": "1.00", "cost": "1.00",
    }  # fmt: skip
    assert table.frame.loc[("ResNet-8", "Single model")].iloc[6] == "–"
    assert table.frame.loc[("ResNet-8", "True ensemble")].iloc[7:].tolist() == ["–", "2.00"]
    assert measurements.CALIBRATED in table.notes
    assert measurements.EQUIVALENT in table.notes
    lines = list(csv.DictReader(files["m.csv"].splitlines()))
    assert (lines[1]["method"], lines[1]["replicates"], float(lines[1]["error"])) == ("Snapshot (α₀ = 0.1)", "1", 20.0)
    assert lines[0]["disagreement"] == ""
    assert files["m.md"].startswith("# Mine: other metrics\n\n| network")


def test_metrics_of_what_is_not_there_are_dashes(tmp_path):
    asked = study(experiment("single"), experiment(), render={"m": "metrics"})
    finish_cells(experiment("single"), tmp_path, lambda run, k: 4)
    (table,), _ = drawn(asked, tmp_path)
    assert set(table.frame.loc[("ResNet-8", "Snapshot (α₀ = 0.1)")]) == {"–"}
    assert "equivalent" not in table.frame.columns.get_level_values(1)  # no true ensemble to compare with
    assert measurements.EQUIVALENT not in table.notes


def test_a_true_ensemble_that_is_not_there_leaves_dashes(tmp_path):
    asked = study(experiment("single"), experiment("ensemble"), render={"m": "metrics"})
    finish_cells(experiment("single"), tmp_path, lambda run, k: 4)
    (table,), _ = drawn(asked, tmp_path)
    assert table.frame.loc[("ResNet-8", "Single model")].iloc[7] == "–"
    assert measurements.EQUIVALENT not in table.notes


def test_budgets_have_true_ensembles_and_costs_of_their_own(tmp_path):
    cells = [experiment(method, budget=b) for b in (4, 8) for method in ("snapshot", "ensemble")]
    asked = study(*cells, render={"m": "metrics"})
    finish_cells(asked, tmp_path, lambda run, k: 64 // run.budget)  # with a budget of 4 all are wrong on 16 of 20
    (table,), _ = drawn(asked, tmp_path)
    assert measurements.FULL in table.notes
    found = {method: row.iloc[-2:].tolist() for (_, method), row in table.frame.iterrows()}
    assert found == {
        "Snapshot (α₀ = 0.1), budget 4": ["1.00", "0.50"], "True ensemble, budget 4": ["–", "1.00"],
        "Snapshot (α₀ = 0.1), budget 8": ["1.00", "1.00"], "True ensemble, budget 8": ["–", "2.00"],
    }  # fmt: skip


def test_an_ensemble_of_other_settings_is_no_yardstick(tmp_path):
    asked = study(experiment(), experiment("ensemble", batch_size=32), render={"m": "metrics"})
    finish_cells(asked, tmp_path, lambda run, k: 4)
    (table,), _ = drawn(asked, tmp_path)
    assert table.frame.loc[("ResNet-8", "Snapshot (α₀ = 0.1)")].iloc[-2] == "–"


def test_seeds_have_an_interval(tmp_path):
    renders = {"m": "metrics", "w": "weighting"}
    asked = study(experiment("nocycle", replicates=3), render=renders)
    finish_cells(asked, tmp_path, lambda run, k: run.seed + 1)
    (metrics, members), files = drawn(asked, tmp_path)
    # 5, 10 and 15 %: t of 2 degrees of freedom at 97.5 % is 4.30265, the deviation 5, so 4.30265 * 5 / sqrt(3) = 12.42.
    assert metrics.frame.iloc[0, [0, 6, 7]].tolist() == ["10.00 ± 12.42", "0.00 ± 0.00", "1.00"]
    assert members.frame.iloc[0].tolist() == ["10.00 ± 12.42"] * 2
    assert all(measurements.INTERVAL in table.notes for table in (metrics, members))
    for name in ("m.csv", "w.csv"):
        line = next(csv.DictReader(files[name].splitlines()))
        assert line["replicates"] == "3"
        assert [round(float(line[name]), 2) for name in ("error", "error ±")] == [10, 12.42]


def test_a_table_of_metrics_for_each_dataset(tmp_path):
    asked = study(experiment(), experiment(dataset="cifar10"), render={"m": "metrics"})
    finish_cells(asked, tmp_path, lambda run, k: k)
    _, files = drawn(asked, tmp_path)
    assert {"m-digits.md", "m-cifar10.md"} <= files.keys()


def test_which_members(tmp_path):
    asked = study(experiment("single"), experiment(cycles=3), experiment("nocycle"), render={"w": "weighting"})
    finish_cells(asked, tmp_path, lambda run, k: {1: 8, 2: 6, 3: 0}[k])
    (table,), files = drawn(asked, tmp_path)
    assert table.frame.to_numpy().tolist() == [
        ["0.00", "0.00", "30.00"], ["40.00", "30.00", "30.00"], ["30.00", "30.00", ""], ["40.00", "30.00", ""],
    ]  # fmt: skip
    assert table.frame.index.get_level_values(1).tolist() == [
        "Snapshot (α₀ = 0.1), last m", "Snapshot (α₀ = 0.1), first m", "NoCycle Snapshot, last m",
        "NoCycle Snapshot, first m",
    ]  # fmt: skip
    lines = list(csv.DictReader(files["w.csv"].splitlines()))
    assert (lines[3]["members"], lines[3]["size"], float(lines[3]["error"])) == ("first m", "1", 40.0)


def test_members_chosen_on_withheld_images(tmp_path):
    asked = study(experiment(holdout=20), experiment("nocycle"), render={"w": "weighting"})
    finish_cells(asked, tmp_path, lambda run, k: {1: 8, 2: 6}[k])
    (run, _), labels = plan.runs(asked), np.arange(20) % 10
    finish(run, tmp_path, [wrong(labels, mistakes) for mistakes in (1, 3)], labels, split="holdout")
    (table,), _ = drawn(asked, tmp_path)
    rows = {label: row.tolist() for (_, label), row in table.frame.iterrows()}
    assert rows["Snapshot (α₀ = 0.1), best m on the holdout"][0] == "40.00"  # of the first snapshot
    assert "NoCycle Snapshot, best m on the holdout" not in rows
    note = "best m on the holdout: chosen by their errors on the withheld training images, never on test images."
    assert table.notes[1:] == [note]


def test_nothing_finished_has_no_table_of_members(tmp_path):
    assert drawn(study(experiment(), render={"w": "weighting"}), tmp_path)[0] == []
