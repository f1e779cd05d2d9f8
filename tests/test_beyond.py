import numpy as np
import pytest
from fabricated_runs import experiment, finish, finish_cells, wrong

from snapshot_cli.analysis import beyond, cells, metrics
from snapshot_cli.config import plan

NAN, INFINITY = float("nan"), float("inf")
LABELS = np.arange(20) % 10


def scored(method, results, **settings):
    return cells.score_cell(plan.cell(experiment(method, **settings)), results, {})


@pytest.mark.parametrize(
    ("value", "by_size", "members"),
    [
        (0.9, [1.0, 0.8, 0.7], 1.5), (1.0, [1.0, 0.8, 0.7], 1.0), (0.8, [1.0, 0.8, 0.7], 2.0),
        (0.725, [1.0, 0.8, 0.7], 2.75), (0.7, [1.0, 0.8, 0.7], 3.0), (1.1, [1.0, 0.8, 0.7], 0.0),
        (0.6, [1.0, 0.8, 0.7], INFINITY), (0.9, [1.0, 1.0, 0.8], 2.5), (0.85, [1.0, 0.8, 0.9, 0.7], 1.75),
        (1.0, [1.0], 1.0), (0.9, [1.0], INFINITY), (1.1, [1.0], 0.0), (0.17, [0.17, 0.18, 0.12], 1.0),
        (1.0, [1.0, 1.0, 0.8], 1.0), (NAN, [1.0, 0.8], NAN), (0.9, [1.0, NAN], NAN),
    ],
)  # fmt: skip
def test_deep_ensemble_equivalent(value, by_size, members):
    assert beyond.equivalent(value, by_size) == pytest.approx(members, nan_ok=True)


def test_measure(tmp_path):
    # Member 1 is wrong on the first 6 of 20, member 2 on the first 2: they disagree on 4 of 20.
    finish_cells(experiment(), tmp_path, lambda run, k: {1: 6, 2: 2}[k])
    one = scored("snapshot", tmp_path)
    found = beyond.measure(one, 4)
    assert found.scores == one.evaluation.ensembles[-1]
    assert found.disagreement == pytest.approx(4 / 20)
    assert found.calibrated_nll == metrics.calibrated_nll(one.probabilities.mean(0), LABELS)
    assert found.cost == 1.0
    finish_cells(experiment("single"), tmp_path, lambda run, k: 2)
    alone = beyond.measure(scored("single", tmp_path), 4)
    assert (alone.disagreement, alone.cost) == (None, 1.0)


@pytest.mark.parametrize(
    ("method", "full_budgets"),
    [("single", 1.0), ("dropout", 1.0), ("nocycle", 1.0), ("snapshot", 1.0), ("singlecycle", 1.0), ("ensemble", 4.0)],
)
def test_cost_in_full_budgets(method, full_budgets):
    assert plan.cost(plan.cell(experiment(method, cycles=4)).members, 4) == full_budgets


def test_cost_of_some_members():
    assert plan.cost(plan.cell(experiment("ensemble", cycles=4)).members[-2:], 4) == 2.0
    assert plan.cost(plan.cell(experiment("singlecycle", cycles=4)).members[-1:], 4) == 0.25
    assert plan.cost(plan.cell(experiment("snapshot", cycles=4)).members[-1:], 4) == 1.0


def test_the_first_members_and_what_is_right(tmp_path):
    finish_cells(experiment(cycles=3), tmp_path, lambda run, k: {1: 8, 2: 6, 3: 0}[k])
    found = scored("snapshot", tmp_path, cycles=3)
    # A member's wrong class is the one after the label, so of two that differ the label, the lower number, wins, unless
    # it is 9, of which there is none among the first 8. Of all three, the first 6 have two wrong votes.
    assert beyond.first_errors(found) == [40.0, 30.0, 30.0]
    assert [each.top1_error for each in found.evaluation.ensembles] == [0.0, 0.0, 30.0]
    assert found.evaluation.correct.tolist() == [False] * 6 + [True] * 14


def test_the_best_subset_is_chosen_on_the_holdout_and_scored_on_test(tmp_path):
    asked = experiment(cycles=4, holdout=20)
    (run,) = plan.runs(asked)
    on_test, on_holdout = {1: 1, 2: 2, 3: 3, 4: 4}, {1: 9, 2: 1, 3: 5, 4: 1}
    directory = finish(run, tmp_path, [wrong(LABELS, on_test[k]) * (2 if k == 1 else 1) for k in on_test], LABELS)
    for k, mistakes in on_holdout.items():
        directory.write_predictions("holdout", k, wrong(LABELS, mistakes) * (2 if k in (2, 4) else 1))
    directory.write_labels("holdout", LABELS)
    directory.finish({"run": run.run_id, "dataset_hash": directory.summary["dataset_hash"]})
    found = cells.score_cell(plan.cell(asked), tmp_path, {})
    # Alone snapshots 2 and 4 are best on the holdout, and 2 comes first; they are surer than the others, so every pair
    # with one of them has its one mistake. On test snapshot 1 is the surest.
    withheld = cells.score_cell(plan.cell(asked), tmp_path, {}, split="holdout")
    chosen = beyond.best_subsets(withheld.probabilities, withheld.labels)
    assert chosen[:2] == [(1,), (0, 1)]
    assert beyond.subset_errors(found)[:2] == [10.0, 5.0]


def test_no_subset_is_chosen_without_a_holdout_or_on_it(tmp_path):
    finish_cells(experiment(), tmp_path, lambda run, k: k)
    assert beyond.subset_errors(scored("snapshot", tmp_path)) is None


def test_replicates_are_pooled_or_averaged(tmp_path):
    asked = experiment(replicates=2)
    finish_cells(asked, tmp_path, lambda run, k: 4 * run.seed)
    both = [cells.score_cell(plan.cell(asked, replicate=r), tmp_path, {}) for r in range(2)]
    table = beyond.reliability(both)
    assert table.count.sum() == 40
    assert table.accuracy[7] == pytest.approx(36 / 40)  # a confidence of 1/2 is in the eighth of 15 bins
    assert beyond.correlation(both) == pytest.approx(np.ones((2, 2)))


def test_calibrated_by_size_is_of_the_last_members(tmp_path):
    finish_cells(experiment(), tmp_path, lambda run, k: {1: 6, 2: 2}[k])
    found = scored("snapshot", tmp_path)
    assert beyond.calibrated_by_size(found) == [
        metrics.calibrated_nll(found.probabilities[1], LABELS),
        metrics.calibrated_nll(found.probabilities.mean(0), LABELS),
    ]
