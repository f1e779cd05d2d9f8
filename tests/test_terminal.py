import io
import re

import numpy as np
import pytest
from fabricated_runs import experiment, finish, finish_cells, study, wrong
from rich.console import Console

from snapshot_cli.analysis import outcomes, scoring
from snapshot_cli.config import plan
from snapshot_cli.reporting import terminal

LABELS = np.arange(20) % 10


def shown(table):
    console = Console(file=io.StringIO(), width=200)
    console.print(table)
    _, _, *lines = console.file.getvalue().splitlines()
    return [re.split(r"\s{2,}", line.strip()) for line in lines]


@pytest.fixture
def scores(tmp_path):
    (run,) = plan.runs(experiment())
    finish(run, tmp_path, [wrong(LABELS, 4), wrong(LABELS, 2)], LABELS)
    return scoring.find(plan.cell(experiment()), tmp_path, "test")


def test_members_and_ensembles_stand_in_tables_of_their_own(scores):
    title, _, members, _, ensembles = terminal.members_and_ensembles(scores)
    assert title == "Snapshot (α₀ = 0.1): resnet-8 on digits, 20 test images"
    assert [row[:2] for row in shown(members)] == [["snapshot 1", "20.00"], ["snapshot 2", "10.00"]]
    assert [row[:2] for row in shown(ensembles)] == [["last member alone", "10.00"], ["last 2 members", "10.00"]]


def test_members_of_several_runs_are_told_by_their_seeds(tmp_path):
    finish_cells(experiment("ensemble"), tmp_path, lambda run, k: k)
    scores = scoring.find(plan.cell(experiment("ensemble")), tmp_path, "test")
    _, _, members, *_ = terminal.members_and_ensembles(scores)
    assert [row[0] for row in shown(members)] == ["seed 1000, snapshot 2", "seed 0, snapshot 2"]


def test_a_single_model_has_no_table_of_ensembles(tmp_path):
    finish_cells(experiment("single"), tmp_path, lambda run, k: k)
    tables = terminal.members_and_ensembles(scoring.find(plan.cell(experiment("single")), tmp_path, "test"))
    assert len(tables) == 3


def test_methods_stand_side_by_side_as_means_over_seeds(tmp_path):
    asked = study(experiment("single", replicates=2), experiment(replicates=3))
    finish_cells(asked, tmp_path, lambda run, k: run.seed + 1)
    title, *_, table = terminal.compare_methods(outcomes.collect(asked, tmp_path, {}))
    assert title == "resnet-8 on digits, 20 test images"
    assert shown(table) == [
        ["Single model", "2 of 2", "7.50"],
        ["Snapshot (α₀ = 0.1)", "3 of 3", "10.00", "10.00"],
    ]


def test_of_many_sizes_the_powers_of_two_and_the_largest_are_listed(tmp_path):
    asked = study(*(experiment(cycles=cycles, budget=8) for cycles in (2, 7)))
    finish_cells(asked, tmp_path, lambda run, k: k)
    *_, table = terminal.compare_methods(outcomes.collect(asked, tmp_path, {}))
    assert [column.header for column in table.columns[2:]] == ["m = 1", "2", "4", "all M"]
    assert [len(row) for row in shown(table)] == [5, 6]


def test_json_has_every_number(scores):
    found = terminal.as_json(scores)
    assert found["ensembles"][1] | {"size": 2} == found["ensembles"][1]
    assert found["members"][0]["top1_error"] == 20.0
    assert found["ensembles"][1]["ece"] == pytest.approx(scores.ensemble.ece)
