import csv

import pytest
from fabricated_runs import experiment, finish_cells, study

from snapshot_cli.analysis.statistics import Verdict, rule
from snapshot_cli.reporting import numbers, report


def drawn(asked, results, **options):
    sheet = report.draw(asked, results, {}, **options)
    return sheet.drawn, {path.name: path.read_text() for path in sheet.write(results)}


@pytest.mark.parametrize(
    ("verdict", "text"),
    [
        (Verdict("A beats B", "yes", 1, 1.234, p=0.0123), "A beats B: yes (+1.23 points, p = 0.012)"),
        (Verdict("A beats B", "not decided", 1, -0.5, p=1.0), "A beats B: not decided (−0.50 points, p = 1)"),
        (Verdict("A beats B", "not decided", 2, 0.5), "A beats B: not decided (+0.50 points, 2 seeds)"),
        (Verdict("A beats B", "not decided", 0, None), "A beats B: –"),
        (
            Verdict("A beats B", "no", 3, -1.0, 0.01, (-1.5, -0.5), 0.975, (0.1, 0.02, 1.0)),
            "A beats B: no (−1.00 points, [−1.50, −0.50] at 97.5 % over 3 seeds, McNemar by seed p = 0.1, 0.02, 1)",
        ),
    ],
)
def test_a_verdict_in_words(verdict, text):
    assert numbers.verdict(verdict) == text


def test_claims_stand_below_the_table_with_their_rule(tmp_path):
    asked = study(experiment("single"), experiment(), render={"table": "methods"})
    finish_cells(asked, tmp_path, lambda run, k: 6 if run.schedule == "step" else 0)
    (table,), files = drawn(asked, tmp_path)
    # Six of 20 examples are wrong with one network alone: 30 points, p = 2 / 2^6.
    line = "ResNet-8 on Digits: Snapshot (α₀ = 0.1) beats Single model: yes (+30.00 points, p = 0.031)."
    assert list(table.notes) == [line, rule("test")]
    assert files["table.md"].endswith(f"\n\n{line}\n\n{rule('test')}\n")
    assert table.block().notes[-2:] == [line, rule("test")]
    assert table.block().frame.iloc[:, 0].tolist() == ["30.00", "**0.00**"]


def test_the_rule_names_the_images_that_were_scored_on():
    assert "these weights on this test set." in rule("test")
    assert "these weights on these withheld training images." in rule("holdout")


def test_budgets_of_one_network_and_dataset_are_judged_apart(tmp_path):
    cells = [experiment(method, budget=budget) for budget in (2, 4) for method in ("single", "snapshot")]
    asked = study(*cells, render={"table": "methods"})
    finish_cells(asked, tmp_path, lambda run, k: 6 if run.schedule == "step" else 0)
    (table,), _ = drawn(asked, tmp_path)
    assert [note.partition(":")[0] for note in table.notes[:2]] == [
        "ResNet-8 on Digits, budget 2", "ResNet-8 on Digits, budget 4"
    ]  # fmt: skip


def test_a_half_finished_study_judges_what_is_there(tmp_path):
    asked = study(experiment("single"), experiment(), experiment("dropout"), render={"table": "methods"})
    finish_cells(experiment("single"), tmp_path, lambda run, k: 6)
    finish_cells(experiment(), tmp_path, lambda run, k: 0)
    (table,), files = drawn(asked, tmp_path, called="mine")
    assert "beats Dropout: –." in table.notes[0]
    assert "| ResNet-8  | Dropout             |       –¹ |" in files["table.md"]
    assert "¹ 1 of 1 run missing: snapshot reproduce mine trains it" in files["table.md"]


def test_cycles_have_a_line_each(tmp_path):
    asked = study(experiment("single"), *[experiment(cycles=m) for m in (2, 3, 4)], render={"table3": "cycles"})
    finish_cells(asked, tmp_path, lambda run, k: {2: 10, 3: 0, 4: 9}[run.cycles])
    (table,), files = drawn(asked, tmp_path)
    assert [(row.method, row.error) for row in table.rows] == [
        ("Single model", 50.0), ("Snapshot (α₀ = 0.1), M = 2", 50.0), ("Snapshot (α₀ = 0.1), M = 3", 0.0),
        ("Snapshot (α₀ = 0.1), M = 4", 45.0),
    ]  # fmt: skip
    assert "M = 3 beats 2: yes (+50.00 points" in table.notes[0]
    assert "M = 3 beats 4: yes (+45.00 points" in table.notes[0]
    assert "table3.tex" in files


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
    assert numbers.CALIBRATED in table.notes
    assert numbers.EQUIVALENT in table.notes
    lines = list(csv.DictReader(files["m.csv"].splitlines()))
    assert (lines[1]["method"], lines[1]["replicates"], float(lines[1]["error"])) == ("Snapshot (α₀ = 0.1)", "1", 20.0)
    assert lines[0]["disagreement"] == ""
    assert files["m.md"].startswith("# Mine: other metrics\n\n| network")


def test_metrics_of_what_is_not_there_are_dashes(tmp_path):
    asked = study(experiment("single"), experiment(), render={"m": "metrics"})
    finish_cells(experiment("single"), tmp_path, lambda run, k: 4)
    (table,), _ = drawn(asked, tmp_path)
    assert set(table.frame.loc[("ResNet-8", "Snapshot (α₀ = 0.1)")]) == {"–"}
    assert table.frame.loc[("ResNet-8", "Single model")].iloc[7] == "–"  # no true ensemble to compare with
    assert numbers.EQUIVALENT not in table.notes


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


def test_nothing_finished_has_no_table_of_members(tmp_path):
    assert drawn(study(experiment(), render={"w": "weighting"}), tmp_path)[0] == []
