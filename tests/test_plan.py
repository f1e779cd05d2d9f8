from itertools import product

import pytest

from snapshot_cli.config.experiment import Experiment, Run
from snapshot_cli.config.plan import TITLES, cell, cost, expand, images, label, operations, run_label, runs
from snapshot_cli.config.study import Study

BASE = {"dataset": "digits", "network": "resnet-8", "budget": 13, "batch_size": 1437}  # 13 steps in all


def experiment(method, **values):
    return Experiment(**BASE | {"method": method, "cycles": 3} | values)


def run(**values):
    return Run(**BASE | {"cycles": 3} | values)


def members(asked, **where):
    return [(member.run, member.snapshot) for member in cell(asked, **where).members]


STEP = run(schedule="step")


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("single", [(STEP, 3)]),
        ("dropout", [(run(schedule="step", dropout=0.2), 3)]),
        ("nocycle", [(STEP, 1), (STEP, 2), (STEP, 3)]),
        (
            "singlecycle",
            [(run(schedule="cosine", cycle=cycle, seed=seed), 1) for cycle, seed in ((1, 0), (1, 1000), (3, 2000))],
        ),
        ("snapshot", [(run(schedule="cosine"), k) for k in (1, 2, 3)]),
        ("ensemble", [(run(schedule="step", seed=seed), 3) for seed in (2000, 1000, 0)]),
    ],
)
def test_members(method, expected):
    assert members(experiment(method)) == expected


def test_every_method_has_members_and_a_title():
    assert set(TITLES) == set(Experiment.model_fields["method"].annotation.__args__)
    for method in TITLES:
        assert members(experiment(method))


def test_what_methods_share():
    single, nocycle, ensemble = (cell(experiment(method)).runs for method in ("single", "nocycle", "ensemble"))
    assert single == nocycle == ensemble[-1:]
    assert len(ensemble) == 3
    study = Study(name="s", title="t", experiments=tuple(map(experiment, ("single", "nocycle", "ensemble"))))
    assert runs(study) == [ensemble[2], ensemble[0], ensemble[1]]


def test_members_of_singlecycle_train_exactly_the_steps_of_their_cycles():
    lengths = [each.snapshot_steps(1437) for each in cell(experiment("singlecycle")).runs]
    ends = cell(experiment("snapshot")).runs[0].snapshot_steps(1437)
    assert ends == [5, 10, 13]
    assert lengths == [[5], [5], [3]]


def test_nocycle_takes_its_snapshots_where_the_cosine_run_does():
    nocycle, snapshot = (cell(experiment(method)).runs[0] for method in ("nocycle", "snapshot"))
    assert nocycle.snapshot_steps(1437) == snapshot.snapshot_steps(1437)


@pytest.mark.parametrize(
    ("values", "dropout"),
    [({"method": "dropout"}, 0.2), ({"method": "dropout", "dropout": 0.5}, 0.5)]
    + [({"method": method}, 0.0) for method in TITLES if method != "dropout"]
    + [({"method": method, "dropout": 0.3}, 0.3) for method in TITLES if method != "dropout"],
)
def test_dropout_goes_with_any_method_and_is_a_fifth_by_default(values, dropout):
    assert {each.dropout for each in cell(experiment(**values)).runs} == {dropout}


def test_drops_mean_nothing_to_a_cosine_run():
    assert cell(experiment("snapshot", drops=(0.3,))).runs == cell(experiment("snapshot")).runs
    assert cell(experiment("single", drops=(0.3,))).runs != cell(experiment("single")).runs


def test_a_runs_fields_are_its_experiments():
    values = {"alpha0": 0.3, "train_size": 100, "holdout": 7, "split_seed": 2, "padding": 2, "precision": "bfloat16"}
    for method in TITLES:
        for each in cell(experiment(method, **values)).runs:
            assert {name: getattr(each, name) for name in values} == values


@pytest.mark.parametrize("method", ["single", "dropout", "nocycle", "snapshot"])
def test_replicate_r_has_seed_r(method):
    assert [[each.seed for each in cell(experiment(method, replicates=3), replicate=r).runs] for r in range(3)] == [
        [0],
        [1],
        [2],
    ]


@pytest.mark.parametrize(("method", "order"), [("singlecycle", 1), ("ensemble", -1)])
def test_members_have_seeds_r_plus_1000_k(method, order):
    asked = experiment(method, seed=10, replicates=2)
    assert [[each.seed for each in cell(asked, replicate=r).runs] for r in range(2)] == [
        [10, 1010, 2010][::order],
        [11, 1011, 2011][::order],
    ]


@pytest.mark.parametrize("method", ["singlecycle", "ensemble"])
def test_no_two_members_of_any_replicates_share_a_seed(method):
    for replicates, cycles in product(range(1, 6), range(1, 9)):
        asked = experiment(method, cycles=cycles, replicates=replicates)
        seeds = [member.run.seed for each in expand(asked) for member in each.members]
        assert len(seeds) - len(set(seeds)) == 0


@pytest.mark.parametrize("method", ["singlecycle", "ensemble"])
@pytest.mark.parametrize("budget", [12, 13])
def test_more_replicates_train_nothing_again(method, budget):
    three, five = (experiment(method, budget=budget, replicates=replicates) for replicates in (3, 5))
    assert set(runs(three)) < set(runs(five))


def test_a_cycle_of_whole_epochs_is_a_run_of_one_cycle_of_that_length():
    asked = experiment("singlecycle", budget=12, replicates=2)
    expected = [run(schedule="cosine", budget=4, cycles=1, seed=seed) for seed in (1, 1001, 2001)]
    assert members(asked, replicate=1) == [(each, 1) for each in expected]
    assert runs(asked.model_copy(update={"budget": 8, "cycles": 2})) == [
        each for each in runs(asked) if each.seed < 2000
    ]


def test_the_last_member_of_an_ensemble_is_the_single_model():
    for replicates in range(1, 6):
        for r in range(replicates):
            single, ensemble = (experiment(method, replicates=replicates) for method in ("single", "ensemble"))
            assert members(ensemble, replicate=r)[-1] == members(single, replicate=r)[0]


def test_expand_puts_the_replicates_of_an_experiment_side_by_side():
    both = (experiment("single", replicates=2), experiment("snapshot", replicates=2))
    asked = Study(name="s", title="t", experiments=both)
    assert [(each.experiment.method, each.replicate) for each in expand(asked)] == [
        ("single", 0),
        ("single", 1),
        ("snapshot", 0),
        ("snapshot", 1),
    ]
    assert [(each.schedule, each.seed) for each in runs(asked)] == [
        ("step", 0),
        ("step", 1),
        ("cosine", 0),
        ("cosine", 1),
    ]


def test_expand_one_experiment():
    assert expand(experiment("single")) == [cell(experiment("single"))]
    twice = experiment("single", replicates=2)
    assert expand(twice) == [cell(twice), cell(twice, replicate=1)]


def test_experiments_of_a_study_may_have_replicates_of_their_own():
    both = (experiment("single", replicates=2), experiment("ensemble"))
    asked = Study(name="s", title="t", experiments=both)
    assert [(each.experiment.method, each.replicate) for each in expand(asked)] == [
        ("single", 0),
        ("single", 1),
        ("ensemble", 0),
    ]
    assert [each.seed for each in runs(asked)] == [0, 1, 2000, 1000]


def test_a_run_asks_for_itself():
    assert runs(STEP) == [STEP]


def test_operations_grow_with_the_images_and_with_the_network():
    one = operations(STEP, 1437, 8, 10)
    assert operations(run(schedule="step", budget=26), 1437, 8, 10) == 2 * one
    assert operations(run(schedule="step", network="resnet-14"), 1437, 8, 10) > 1.5 * one
    assert operations(STEP, 1437, 16, 10) == pytest.approx(4 * one, rel=0.01)


def test_images():
    assert images(STEP, 1437) == 13 * 1437
    assert type(images(STEP, 1437)) is int
    assert [images(each, 1437) for each in cell(experiment("singlecycle")).runs] == [5 * 1437, 5 * 1437, 3 * 1437]
    assert images(run(schedule="step", train_size=100), 1437) == 13 * 100
    assert images(run(schedule="step", holdout=37), 1437) == 13 * 1400
    cifar = Run(dataset="cifar10", network="resnet-8", budget=200, cycles=5, schedule="cosine", cycle=1)
    assert images(cifar, 50_000) == 40 * 50_000


@pytest.mark.parametrize(
    ("method", "budgets"),
    [("single", 1), ("dropout", 1), ("nocycle", 1), ("snapshot", 1), ("singlecycle", 1), ("ensemble", 3)],
)
def test_cost_in_full_budgets(method, budgets):
    asked = cell(experiment(method)).runs
    assert cost(asked, 13) == pytest.approx(budgets)
    assert cost(asked[:1], 13) == pytest.approx(1 / 3 if method == "singlecycle" else 1)
    assert cost(asked, 26) == pytest.approx(budgets / 2)


@pytest.mark.parametrize(
    ("values", "title"),
    [
        ({"method": "single"}, "Single model"),
        ({"method": "dropout"}, "Dropout"),
        ({"method": "nocycle"}, "NoCycle Snapshot"),
        ({"method": "singlecycle"}, "SingleCycle"),
        ({"method": "snapshot", "alpha0": 0.2}, "Snapshot (α₀ = 0.2)"),
        ({"method": "ensemble"}, "True ensemble"),
        ({"method": "dropout", "dropout": 0.5}, "Dropout"),
        ({"method": "dropout", "stochastic_depth": 0.5}, "Dropout with stochastic depth 0.5"),
        ({"method": "single", "dropout": 0.2}, "Single model with dropout 0.2"),
        (
            {"method": "snapshot", "dropout": 0.2, "stochastic_depth": 0.5},
            "Snapshot (α₀ = 0.1) with dropout 0.2 with stochastic depth 0.5",
        ),
    ],
)
def test_label(values, title):
    assert label(experiment(**values)) == title


def test_the_independent_runs_of_a_snapshot_ensemble_have_seeds_of_their_own():
    base = {"dataset": "digits", "network": "resnet-8", "budget": 4, "cycles": 2, "method": "snapshot"}
    several = Experiment(**base, independent_runs=3, replicates=2)
    for replicate, seeds in ((0, [2000, 1000, 0]), (1, [2001, 1001, 1])):
        found = cell(several, replicate=replicate)
        assert [(m.run.seed, m.snapshot) for m in found.members] == [(s, k) for s in seeds for k in (1, 2)]
    assert cell(several).runs[-1] == cell(Experiment(**base)).runs[0]
    assert label(several) == "3 × Snapshot (α₀ = 0.1)"
    assert label(Experiment(**base, independent_runs=2)) == "2 × Snapshot (α₀ = 0.1)"
    with pytest.raises(ValueError, match="expected snapshot, as independent_runs is 3, given 'single'"):
        Experiment(**base | {"method": "single"}, independent_runs=3)


def test_scores_of_independent_runs_keep_the_id_and_the_key_of_their_first_name():
    settings = {
        "dataset": "cifar10-16", "network": "wide-resnet-8-2", "method": "snapshot", "budget": 200, "cycles": 5,
        "train_size": 5000, "alpha0": 0.2,
    }  # fmt: skip
    first = Experiment.model_validate(settings | {"replicas": 3})
    assert first == Experiment(**settings, independent_runs=3)
    assert cell(first).cell_id == "cifar10-16/wide-resnet-8-2-snapshot-M5-16d6fe26"


def test_a_replicate_is_named_as_an_experiment_of_its_own():
    """However many replicates there are: their scores are found again when some are added."""
    three = expand(experiment("snapshot", replicates=3, seed=5))
    assert [each.alone.seed for each in three] == [5, 6, 7]
    assert [each.cell_id for each in three] == [cell(experiment("snapshot", seed=seed)).cell_id for seed in (5, 6, 7)]
    assert len({each.cell_id for each in three}) == 3
    assert three[1].cell_id.startswith("digits/resnet-8-snapshot-M3-seed6-")
    assert cell(experiment("snapshot")).cell_id == "digits/resnet-8-snapshot-M3-e78e1fb2"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"schedule": "step"}, "resnet-8 tiny step M2 alpha0 0.1 seed 0 "),
        ({"schedule": "step", "dropout": 0.2}, "resnet-8 tiny step M2 alpha0 0.1 dropout 0.2 seed 0 "),
        ({"alpha0": 0.05, "cycle": 1, "seed": 3}, "resnet-8 tiny cosine M2 cycle 1 alpha0 0.05 seed 3 "),
    ],
)
def test_a_run_is_labelled_with_its_settings_and_its_hash(tiny_run, changes, words):
    run = tiny_run(**changes)
    assert run_label(run) == words + run.run_id[-8:]
