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
        (Verdict("A beats B", "not decided", 2, -0.004), "A beats B: not decided (+0.00 points, 2 seeds)"),
        (
            Verdict("A beats B", "not decided", 3, 0.25, 0.05, (-0.001, 0.5), 0.95, (1.0, 1.0, 1.0)),
            "A beats B: not decided (+0.25 points, [0.00, 0.50] at 95.0 % over 3 seeds, McNemar by seed p = 1, 1, 1)",
        ),
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
    line = "ResNet-8 on Digits:\n- Snapshot (α₀ = 0.1) beats Single model: yes (+30.00 points, p = 0.031)"
    assert list(table.notes) == [line, rule("test")]
    assert files["table.md"].endswith(f"\n\n{line}\n\n{rule('test')}\n")
    assert table.block().caption == numbers.METHODS
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


@pytest.mark.parametrize(
    ("kind", "name", "values"),
    [
        ("methods", "batch_size", (32, 64)), ("methods", "train_size", (300, None)), ("methods", "cycles", (2, 3)),
        ("cycles", "seed", (0, 7)),
    ],
)  # fmt: skip
def test_a_heading_names_the_setting_that_varies(tmp_path, kind, name, values):
    cells = [experiment(method, **{name: value}) for value in values for method in ("single", "snapshot")]
    asked = study(*cells, render={"table": kind})
    finish_cells(asked, tmp_path, lambda run, k: 6 if run.schedule == "step" else 0)
    (table,), _ = drawn(asked, tmp_path)
    headings = [f"ResNet-8 on Digits, {name} {'null' if value is None else value}" for value in values]
    assert [note.partition(":")[0] for note in table.notes[:-1]] == headings


def test_a_half_finished_study_judges_what_is_there(tmp_path):
    asked = study(experiment("single"), experiment(), experiment("dropout"), render={"table": "methods"})
    finish_cells(experiment("single"), tmp_path, lambda run, k: 6)
    finish_cells(experiment(), tmp_path, lambda run, k: 0)
    (table,), files = drawn(asked, tmp_path, called="mine")
    assert table.notes[0].endswith("\n- Snapshot (α₀ = 0.1) beats Dropout: –")
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


def test_lines_of_cycles_keep_what_else_tells_them_apart(tmp_path):
    asked = study(*[experiment(cycles=m, budget=b) for m in (2, 4) for b in (4, 8)], render={"table3": "cycles"})
    (table,), files = drawn(asked, tmp_path)
    assert [row.method for row in table.rows] == [
        f"Snapshot (α₀ = 0.1), budget {b}, M = {m}" for m in (2, 4) for b in (4, 8)
    ]
    assert "table3.tex" in files


def test_two_networks_that_others_name_alike_have_a_line_each(tmp_path):
    networks = ("imagenet-resnet-50", "resnet-50")
    asked = study(*[experiment(dataset="tiny-imagenet", network=n) for n in networks], render={"table": "methods"})
    assert "| ResNet-50 (6n+2) |" in drawn(asked, tmp_path)[1]["table.md"]


@pytest.mark.parametrize("kind", ["methods", "cycles"])
def test_no_experiment_has_no_table(tmp_path, kind):
    asked = study(experiment(), render={"table": {"kind": kind, "match": {"cycles": 9}}})
    assert drawn(asked, tmp_path)[0] == []
