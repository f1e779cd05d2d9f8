import csv

import pytest
from fabricated_runs import experiment, finish_cells, study
from fabricated_scores import outcome

from snapshot_cli.analysis.outcomes import Outcome, collect, relabel
from snapshot_cli.config.experiment import Experiment
from snapshot_cli.reporting.drawn import Request
from snapshot_cli.reporting.error_table import BOLD
from snapshot_cli.reporting.tables import cycles, members, methods, metrics
from snapshot_cli.scores import Choice

NAN = float("nan")
REQUEST = Request("t", "Mine", "demo/table1")
SNAPSHOT = "Snapshot (α₀ = 0.1)"


def drawn(kind, *outcomes, request=REQUEST):
    return kind.draw(relabel(outcomes), request)


def texts(table):
    """Return the cells of a table as text, by method."""
    return {method: [cell.text + cell.after for cell in row] for (_, method), row in table.rows.items()}


def of(method="snapshot", *mistakes, replicates=None, **settings):
    """Return an experiment whose replicates make some mistakes in 1,000 images."""
    return outcome(experiment(method, replicates=replicates or max(len(mistakes), 1), **settings), *mistakes)


def test_methods_by_network_and_dataset():
    (table,) = drawn(
        methods,
        of("single", 310, 312, 314), of("snapshot", 300, None),
        of("single", 100, dataset="cifar10"), of("single", 50, network="resnet-14"),
    )  # fmt: skip
    assert [column.flat for column in table.columns] == ["Digits", "CIFAR-10"]
    assert {name: [cell.text + cell.after for cell in row] for name, row in table.rows.items()} == {
        # std 0.2 over three seeds: 4.302653 x 0.2 / sqrt(3) = 0.50
        ("ResNet-8", "Single model"): ["31.20 ± 0.50", "10.00"],
        ("ResNet-8", SNAPSHOT): ["30.00", ""],
        ("ResNet-14", "Single model"): ["5.00", ""],
    }
    assert [cell.bold for cell in table.rows["ResNet-8", SNAPSHOT]] == [True, False]
    assert not table.rows["ResNet-14", "Single model"][0].bold  # nothing to compare with
    assert table.footnotes == {"1 of 2 seeds so far: snapshot reproduce demo/table1 trains the rest": 1}
    assert table.legend == [
        "Errors in percent. ± is the half-width of the 95 % interval of the mean over 3 seeds; without ±, one seed. "
        + BOLD
    ]
    assert table.cells == 6


def test_the_lowest_printed_error_is_bold():
    several = [of("single", 1), of("dropout", 1), of("nocycle", 2), of("snapshot"), of("singlecycle", 1)]
    diverged = several[4].scores[0]
    ensemble = diverged.ensemble.model_copy(update={"error": NAN})
    several[4].scores[0] = diverged.model_copy(update={"later": [ensemble]})
    (table,) = drawn(methods, *several)
    shown = {method: (cell.text, cell.bold) for (_, method), (cell,) in table.rows.items()}
    assert shown == {
        "Single model": ("0.10", True), "Dropout": ("0.10", True), "NoCycle Snapshot": ("0.20", False),
        SNAPSHOT: ("–", False), "SingleCycle": ("nan", False),
    }  # fmt: skip


PAPER = {"dataset": "cifar10", "network": "densenet-40-12", "budget": 300, "cycles": 6}


def test_the_papers_value_and_the_difference(tmp_path):
    single, snapshot = (Experiment(method=method, **PAPER) for method in ("single", "snapshot"))
    other = experiment("single", dataset="digits")
    outcomes = [outcome(single, 53), outcome(snapshot, 44), outcome(other, 10)]
    outcomes += [Outcome(Experiment(method="nocycle", **PAPER), "NoCycle Snapshot", {})]
    (table,) = methods.draw(outcomes, REQUEST)
    assert [column.flat for column in table.columns] == [
        "CIFAR-10", "CIFAR-10 paper", "CIFAR-10 difference", "Digits"
    ]  # fmt: skip
    assert [column.name for column in table.columns] == ["ours", "paper", "difference", "error"]
    assert [[cell.text for cell in row] for row in table.rows.values()] == [
        ["5.30", "5.24*", "+0.06", ""], ["4.40", "4.99", "−0.59", ""], ["", "", "", "1.00"], ["–", "5.20", "", ""],
    ]  # fmt: skip
    assert (
        "Paper: the paper's value, * if copied from earlier work. Difference: ours − paper, in points."
        in table.legend[0]
    )
    rows = list(csv.DictReader(table.write(tmp_path)[1].read_text().splitlines()))
    assert rows[0] == {
        "dataset": "CIFAR-10", "network": "DenseNet-40-12", "method": "Single model", "error": "5.3",
        "replicates": "1", "spread": "", "paper": "5.24", "status": "copied", "planned": "1",
    }  # fmt: skip
    assert (rows[3]["error"], rows[3]["replicates"]) == ("", "0")


def test_a_value_read_off_a_figure_is_marked():
    figure = Experiment(method="snapshot", **PAPER | {"budget": 60})
    (table,) = methods.draw([outcome(figure, 73)], REQUEST)
    assert [cell.text for row in table.rows.values() for cell in row] == ["7.30", "≈7.28", "+0.02"]
    assert "≈ if read off a figure" in table.legend[0]


@pytest.mark.parametrize("kind", [methods, cycles, metrics, members])
def test_nothing_finished_is_not_drawn(kind):
    assert drawn(kind, of("single"), of()) == []


def test_methods_answer_the_claims_below():
    (table,) = drawn(methods, of("single", 300), of("snapshot", 100), of("nocycle", 299))
    claims, rule, effect, _ = table.notes
    assert claims.startswith(f"ResNet-8 on Digits:\n- {SNAPSHOT} beats the single model: these weights only, +20.00")
    assert rule.startswith("The rule:")
    assert effect.endswith("\n- ResNet-8 on Digits: these weights only, +0.10 points, 1 seed")


def test_cycles_are_rows():
    (table,) = drawn(
        cycles, of("single", 300), of(cycles=2, replicates=3), *(of("snapshot", 100, cycles=m) for m in (3, 4))
    )
    assert list(texts(table)) == ["Single model", *(f"{SNAPSHOT}, M = {m}" for m in (2, 3, 4))]
    assert "- Snapshot (α₀ = 0.1) with M = 3 beats the single model: " in table.notes[0]


TWO = (experiment("single"), experiment())


def placed(folder, places, kind=methods, experiments=TWO):
    """Return the notes on processes below a table whose runs, in order, were trained at some places."""
    asked = study(*experiments)
    directories = finish_cells(asked, folder, lambda run, k: k)
    assert len(directories) == len(places)
    outcomes = collect(asked, folder, {})
    for one, place in zip(outcomes, places, strict=True):
        ((run_id, run),) = one.scores[0].runs.items()
        one.scores[0] = one.scores[0].model_copy(update={"runs": {run_id: run.model_copy(update={"machine": place})}})
    (table,) = kind.draw(outcomes, REQUEST)
    return [note for note in table.notes if "processes" in note]


def test_differing_numbers_of_processes_are_told(tmp_path):
    how = "Trained with different numbers of processes; batch norm uses the images of one process only."
    group = "ResNet-8 on Digits"
    assert placed(tmp_path, [[{}], [{"ranks": 1}]]) == []
    assert placed(tmp_path, [[{"ranks": 2}], [{"ranks": 2}]]) == []
    assert placed(tmp_path, [[], [{"ranks": 4}]]) == [
        f"{how} Single model, {group}: 1 with 64 images; {SNAPSHOT}, {group}: 4 with 16 images."
    ]
    resumed = [{"ranks": 2}, {"threads": 3}, {"ranks": 3}]
    two = (experiment(cycles=2), experiment(cycles=3))
    assert placed(tmp_path / "cycles", [resumed, [{"ranks": 2}]], cycles, two) == [
        f"{how} {SNAPSHOT}, M = 2, {group}: 2 with 32 images, then 3 with 21.3333 images; "
        f"{SNAPSHOT}, M = 3, {group}: 2 with 32 images."
    ]


def test_metrics(tmp_path):
    (table,) = drawn(
        metrics,
        of("single", 300), outcome(experiment(), 200, calibrated=[1.0, 0.85]),
        outcome(experiment("ensemble", cycles=3), 100, calibrated=[1.0, 0.8, 0.7]), of("nocycle"),
    )  # fmt: skip
    names = [column.name for column in table.columns]
    assert dict(zip(names, texts(table)[f"{SNAPSHOT}"], strict=True)) == {
        "error": "20.00", "top-5": "1.00", "NLL": "0.5000", "Brier": "0.2000", "ECE": "0.1000",
        "calibrated NLL": "0.8500", "disagreement": "20.00", "equivalent": "1.75", "cost": "1.00",
    }  # fmt: skip
    assert texts(table)["Single model"][6:] == ["–", ">3", "1.00"]  # 0.4, below all sizes
    assert texts(table)["True ensemble"][7:] == ["–", "3.00"]
    assert set(texts(table)["NoCycle Snapshot"]) == {"–"}
    assert table.notes == [metrics.CALIBRATED, metrics.EQUIVALENT]
    assert table.legend == [metrics.UNITS]
    lines = list(csv.DictReader(table.write(tmp_path)[1].read_text().splitlines()))
    assert (lines[1]["replicates"], lines[1]["error"], lines[0]["disagreement"]) == ("1", "20.0", "")
    assert table.markdown().startswith("# Mine: other metrics\n\n| network")


def test_metrics_without_a_true_ensemble_have_no_equivalent():
    (table,) = drawn(metrics, of("single", 1), of("snapshot", 2))
    assert "equivalent" not in [column.name for column in table.columns]
    assert table.notes == [metrics.CALIBRATED]
    (table,) = drawn(metrics, of("snapshot", 2), of("ensemble", 1, batch_size=32))  # of other settings
    assert texts(table)[f"{SNAPSHOT}"][7] == "–"


def test_a_full_budget_is_the_largest():
    (table,) = drawn(metrics, *(of(method, 1, budget=b) for b in (4, 8) for method in ("snapshot", "ensemble")))
    assert [row[-1] for row in texts(table).values()] == ["0.50", "1.00", "1.00", "2.00"]
    assert table.legend == [f"{metrics.UNITS} {metrics.FULL}"]


@pytest.mark.parametrize("kind", [metrics, members])
def test_seeds_have_an_interval(kind):
    # 5, 10 and 15 %: t of 2 degrees of freedom at 97.5 % is 4.30265, the std 5, so 4.30265 * 5 / sqrt(3) = 12.42.
    (table,) = drawn(kind, of("nocycle", 50, 100, 150))
    assert next(iter(texts(table).values()))[0] == "10.00 ± 12.42"
    assert "± is the half-width of the 95 % interval of the mean over 3 seeds." in table.legend[0]
    assert table.records[0]["replicates"] == 3
    assert [round(table.records[0][name], 2) for name in ("error", "error ±")] == [10, 12.42]


@pytest.mark.parametrize("kind", [metrics, members])
def test_a_table_for_each_dataset(kind):
    tables = drawn(kind, of("snapshot", 1), of("snapshot", 1, dataset="cifar10"))
    assert [table.request.stem for table in tables] == ["t-digits", "t-cifar10"]


def test_which_members():
    chosen = [Choice(rule="best", members=[*range(1, m + 1)], withheld_error=1.0, error=50.0 - 10 * m) for m in (1, 2)]
    three = outcome(experiment(cycles=3), 300, alone=[400, 350, 50], last=[60])
    (table,) = drawn(members, of("single", 1), three, outcome(experiment("nocycle"), 300, chosen=chosen))
    assert texts(table) == {
        f"{SNAPSHOT}, last m": ["5.00", "6.00", "30.00"],
        f"{SNAPSHOT}, first m": ["40.00", "6.00", "30.00"],
        "NoCycle Snapshot, last m": ["30.00", "30.00", ""],
        "NoCycle Snapshot, first m": ["30.00", "30.00", ""],
        "NoCycle Snapshot, best m on the holdout": ["40.00", "30.00", ""],
    }
    assert members.CHOSEN in table.legend[0]
    assert [record["size"] for record in table.records[:4]] == [1, 2, 3, 1]


def test_members_that_were_too_many_for_all_subsets_have_no_such_row():
    chosen = [Choice(rule="greedy", members=[1], withheld_error=1.0, error=50.0)]
    (table,) = drawn(members, outcome(experiment("nocycle"), 300, chosen=chosen))
    assert list(texts(table)) == ["NoCycle Snapshot, last m", "NoCycle Snapshot, first m"]
