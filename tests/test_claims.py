import numpy as np
import pytest
from fabricated_runs import experiment

from snapshot_cli.analysis.claims import Outcome, judged

EXAMPLES = 40


def right(mistakes, first=0):
    """Return the correctness of a network that is wrong on `mistakes` examples from `first` on."""
    correct = np.ones(EXAMPLES, bool)
    correct[first : first + mistakes] = False
    return correct


def outcome(method, *mistakes, group="net on set", **settings):
    return Outcome(experiment(method, **settings), group, {r: right(m) for r, m in enumerate(mistakes)})


def answers(outcomes, question="methods"):
    return {(each.group, each.verdict.claim): each.verdict.answer for each in judged(outcomes, question)}


def test_every_claim_about_methods():
    outcomes = [
        outcome("single", 20), outcome("dropout", 20), outcome("nocycle", 20), outcome("singlecycle", 20),
        outcome("snapshot", 9), outcome("snapshot", 1, alpha0=0.2), outcome("ensemble", 0),
    ]  # fmt: skip
    group = "net on set"
    assert answers(outcomes) == {
        (group, f"Snapshot (α₀ = {a}) beats {other}"): "yes"
        for a in ("0.1", "0.2")
        for other in ("Single model", "Dropout", "NoCycle Snapshot", "SingleCycle")
    } | {
        (group, "α₀ = 0.2 beats 0.1"): "yes",
        (group, "True ensemble beats Snapshot (α₀ = 0.1), at 2 times the cost"): "yes",
        (group, "True ensemble beats Snapshot (α₀ = 0.2), at 2 times the cost"): "not decided",
    }


@pytest.mark.parametrize(
    ("single", "snapshot", "answer"),
    [
        # 20 discordant examples, all one way: p = 2 / 2^20. Six one way: p = 2 / 64 = 0.031; five: 0.0625.
        ([20], [0], "yes"), ([0], [20], "no"), ([6], [0], "yes"), ([5], [0], "not decided"), ([3], [3], "not decided"),
        # Two seeds decide nothing; three with one difference have an interval without width.
        ([20, 20], [0, 0], "not decided"), ([4, 5, 6], [2, 3, 4], "yes"), ([4, 5, 6], [6, 3, 5], "not decided"),
        ([], [0], "not decided"),
    ],
)  # fmt: skip
def test_the_rule(single, snapshot, answer):
    found = answers([outcome("single", *single), outcome("snapshot", *snapshot)])
    assert list(found.values()) == [answer]


def test_holm_is_over_all_comparisons_of_the_table():
    pair = [outcome("single", 6), outcome("snapshot", 0)]
    other = [
        outcome("single", 1, group="b", network="resnet-14"),
        outcome("snapshot", 0, group="b", network="resnet-14"),
    ]
    assert list(answers(pair).values()) == ["yes"]  # p = 0.031
    assert list(answers(pair + other).values()) == ["not decided", "not decided"]  # p = 0.062 after Holm


def test_seeds_are_paired_by_replicate():
    single = Outcome(experiment("single"), "g", {0: right(9), 2: right(20)})
    snapshot = Outcome(experiment(), "g", {1: right(0), 2: right(0)})
    (found,) = judged([single, snapshot], "methods")
    assert (found.verdict.seeds, found.verdict.difference) == (1, 50.0)


@pytest.mark.parametrize(
    "other",
    [{"network": "resnet-14"}, {"dataset": "cifar10"}, {"budget": 8}, {"train_size": 100}, {"batch_size": 32}],
)
def test_only_like_is_compared_with_like(other):
    assert answers([outcome("single", 20, **other), outcome("snapshot", 0)]) == {}


def test_members_at_other_iterations_are_not_compared():
    others = [outcome(method, 20, cycles=4) for method in ("nocycle", "singlecycle", "ensemble")]
    assert answers([*others, outcome("snapshot", 0, alpha0=0.2)]) == {}
    assert answers([outcome("snapshot", 20, cycles=4), outcome("snapshot", 0, alpha0=0.2)]) == {}
    assert len(answers([outcome("single", 20, cycles=4), outcome("snapshot", 0)])) == 1


def test_claims_about_the_number_of_cycles():
    outcomes = [outcome("snapshot", mistakes, cycles=m) for m, mistakes in [(2, 20), (4, 0), (8, 1), (10, 21)]]
    assert answers([*outcomes, outcome("single", 20, cycles=2)], "cycles") == {
        ("net on set", f"M = {m} beats {other}"): "yes" for m in (4, 8) for other in (2, 10)
    } | {
        ("net on set", f"Snapshot (α₀ = 0.1) with M = {m} beats Single model"): answer
        for m, answer in [(2, "not decided"), (4, "yes"), (8, "yes"), (10, "not decided")]
    }


def test_two_numbers_of_cycles_are_no_question():
    assert answers([outcome("snapshot", 20, cycles=2), outcome("snapshot", 0, cycles=4)], "cycles") == {}


def test_an_implicit_ensemble_is_held_against_the_same_without():
    skipping = {"stochastic_depth": 0.5}
    outcomes = [outcome("snapshot", 20), outcome("snapshot", 0, **skipping), outcome("single", 0, **skipping)]
    name = "Snapshot (α₀ = 0.1) with stochastic depth 0.5"
    assert answers(outcomes) == {
        ("net on set", f"{name} beats Snapshot (α₀ = 0.1)"): "yes",
        ("net on set", f"{name} beats Single model with stochastic depth 0.5"): "not decided",
    }


def test_several_runs_together_are_not_the_papers_question():
    assert answers([outcome("single", 20), outcome("snapshot", 0, replicas=2)]) == {}
