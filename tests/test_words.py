import io

import numpy as np
import pytest
from fabricated_runs import finish_cells
from rich.console import Console

from snapshot_cli.analysis.cells import score, score_cell
from snapshot_cli.config import plan
from snapshot_cli.config.experiment import Experiment
from snapshot_cli.reporting import words

# Two snapshots on 20 images of 10 classes; the chosen class has probability 1/2, each other 1/18.
RIGHT, WRONG = -np.log(1 / 2), -np.log(1 / 18)


def experiment(method="snapshot", **settings):
    values = {"dataset": "digits", "network": "resnet-8", "budget": 4, "cycles": 2}
    return Experiment(method=method, **values | settings)


@pytest.fixture
def scored(tmp_path):
    def scored(asked, **place):
        finish_cells(asked, tmp_path, lambda run, k: 6 - 2 * k)
        return score_cell(plan.cell(asked, **place), tmp_path, {})

    return scored


def text(table):
    console = Console(file=io.StringIO(), width=200)
    console.print(table)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def cells(table):
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in text(table) if line.startswith("│")]


def test_json_has_the_values_worked_out_by_hand(scored):
    found = words.as_json(scored(experiment()))
    (run,) = plan.runs(experiment())
    assert found == {
        "method": "snapshot",
        "dataset": "digits",
        "network": "resnet-8",
        "split": "test",
        "examples": 20,
        "members": [
            {
                "run": run.run_id,
                "snapshot": 1,
                "top1_error": 20.0,
                "nll": pytest.approx((16 * RIGHT + 4 * WRONG) / 20),
            },
            {
                "run": run.run_id,
                "snapshot": 2,
                "top1_error": 10.0,
                "nll": pytest.approx((18 * RIGHT + 2 * WRONG) / 20),
            },
        ],
        "ensembles": [
            # confidence 1/2 everywhere, 90 % right
            {
                "size": 1,
                "top1_error": 10.0,
                "top5_error": 0.0,  # of equals the lower numbers come first, and the wrong ones are 0 and 1
                "nll": pytest.approx((18 * RIGHT + 2 * WRONG) / 20),
                "ece": pytest.approx(0.4),
            },
            # two images on which the members differ: (1/2 + 1/18) / 2 = 5/18 for either class, the label being lower
            {
                "size": 2,
                "top1_error": 10.0,
                "top5_error": 0.0,  # of equals the lower numbers come first, and the wrong ones are 0 and 1
                "nll": pytest.approx((16 * RIGHT + 2 * -np.log(5 / 18) + 2 * WRONG) / 20),
                "ece": pytest.approx((18 * abs(16 / 18 - 1 / 2) + 2 * abs(1 - 5 / 18)) / 20),
            },
        ],
    }
    assert list(found) == ["method", "dataset", "network", "split", "examples", "members", "ensembles"]


def test_the_table_of_one_ensemble(scored):
    table = words.members_and_ensembles(scored(experiment()))
    assert table.title == "Snapshot (α₀ = 0.1): resnet-8 on digits, 20 images, errors in %"
    assert cells(table) == [
        ["snapshot 1", "20.00", "1.1326", "1", "10.00", "0.9129", "0.4000"],
        ["snapshot 2", "10.00", "0.9129", "2", "10.00", "0.9716", "0.4222"],
    ]


def test_run_directories_have_no_method_and_members_name_their_seeds(tmp_path):
    directories = finish_cells(experiment("ensemble"), tmp_path, lambda run, k: run.seed)
    found = score([(directory, 2) for directory in directories], {})
    assert words.as_json(found)["method"] is None
    table = words.members_and_ensembles(found)
    assert table.title == "run directories: resnet-8 on digits, 20 images, errors in %"
    assert [line[0] for line in cells(table)] == ["seed 1, snapshot 2", "seed 0, snapshot 2"]


def test_members_of_runs_with_the_same_seed_are_told_apart(tmp_path):
    (one,) = finish_cells(experiment(), tmp_path, lambda run, k: 1)
    (other,) = finish_cells(experiment(alpha0=0.2), tmp_path, lambda run, k: 2)
    table = words.members_and_ensembles(score([(one, 2), (other, 2)], {}))
    assert [line[0] for line in cells(table)] == [
        f"{one.run.run_id}, snapshot 2", f"{other.run.run_id}, snapshot 2"
    ]  # fmt: skip


def test_side_by_side(scored):
    asked = [experiment("single"), experiment(), experiment(network="resnet-14")]
    tables = words.side_by_side([scored(each) for each in asked])
    assert [table.title for table in tables] == [
        "resnet-8 on digits, 20 images: error (%) of the last m members",
        "resnet-14 on digits, 20 images: error (%) of the last m members",
    ]
    assert cells(tables[0]) == [["Single model", "10.00", ""], ["Snapshot (α₀ = 0.1)", "10.00", "10.00"]]
    assert cells(tables[1]) == [["Snapshot (α₀ = 0.1)", "10.00", "10.00"]]


def test_side_by_side_tells_cells_of_one_method_apart(scored):
    tables = words.side_by_side([scored(experiment()), scored(experiment(cycles=1))])
    assert [line[0] for line in cells(tables[0])] == ["Snapshot (α₀ = 0.1), cycles 2", "Snapshot (α₀ = 0.1), cycles 1"]


def test_a_study_in_json(scored):
    found = words.study_as_json("table1", [scored(experiment(alpha0=0.2))])
    assert found["study"] == "table1"
    (cell,) = found["cells"]
    assert {key: cell[key] for key in ("label", "alpha0", "cycles", "budget", "replicate", "method")} == {
        "label": "Snapshot (α₀ = 0.2)", "alpha0": 0.2, "cycles": 2, "budget": 4, "replicate": 0, "method": "snapshot"
    }  # fmt: skip


def test_cells_in_json_that_differ_in_what_has_no_place_of_its_own_have_labels(scored):
    found = words.study_as_json("implicit", [scored(experiment()), scored(experiment(dropout=0.2))])
    assert [cell["label"] for cell in found["cells"]] == [
        "Snapshot (α₀ = 0.1)", "Snapshot (α₀ = 0.1) with dropout 0.2"
    ]  # fmt: skip
