import json
import re

import pytest
from pydantic import ValidationError

from snapshot_cli.config import plan
from snapshot_cli.config.experiment import Experiment, Recipe, Run, steps_per_epoch
from snapshot_cli.config.study import Drawing, StudyFile, Where
from snapshot_cli.schedule import cosine_lr, step_lr

SMALL = {"dataset": "digits", "network": "resnet-8", "budget": 4, "cycles": 2}
CIFAR = {"dataset": "cifar10", "network": "densenet-40-12"}
# Another value for every field, none of them a default.
OTHERS = {
    "dataset": "cifar10",
    "network": "resnet-14",
    "network_options": {"hidden": 8},
    "initial_weights": f"sha256:{'0' * 64}",
    "budget": 5,
    "batch_size": 32,
    "train_size": 1000,
    "holdout": 100,
    "split_seed": 1,
    "cycles": 3,
    "alpha0": 0.2,
    "drops": (0.25, 0.5),
    "momentum": 0.8,
    "nesterov": False,
    "weight_decay": 5e-4,
    "dropout": 0.2,
    "stochastic_depth": 0.5,
    "padding": 2,
    "flip": False,
    "lighting": 0.1,
    "precision": "bfloat16",
    "seed": 1,
    "schedule": "step",
    "cycle": 1,
}
CHECKED = ("cycle", "network_options")  # which go with another value of another field


def run(**values):
    return Run(**SMALL | {"schedule": "cosine"} | values)


# Results on disk are found by these names: they must never change.
@pytest.mark.parametrize(
    ("values", "run_id"),
    [
        (SMALL | {"schedule": "step"}, "digits/resnet-8-step-M2-f542c6d1"),
        (
            CIFAR | {"budget": 300, "cycles": 6, "schedule": "cosine", "alpha0": 0.2},
            "cifar10/densenet-40-12-cosine-M6-4e8d1aa0",
        ),
        (
            {
                "dataset": "cifar100",
                "network": "resnet-110",
                "budget": 200,
                "cycles": 5,
                "schedule": "cosine",
                "cycle": 3,
                "seed": 2,
            },
            "cifar100/resnet-110-cosine-M5-cycle3-seed2-a1261ff8",
        ),
        (
            {
                "dataset": "cifar10-16",
                "network": "wide-resnet-32-4",
                "budget": 12,
                "cycles": 3,
                "schedule": "step",
                "drops": (0.25, 0.5),
                "momentum": 0.0,
                "nesterov": False,
                "train_size": 1000,
                "holdout": 500,
                "precision": "bfloat16",
                "dropout": 0.2,
                "padding": 2,
                "flip": False,
            },
            "cifar10-16/wide-resnet-32-4-step-M3-1423c055",
        ),
    ],
)
def test_golden_names_of_runs(values, run_id):
    assert Run(**values).run_id == run_id


def test_names_differ_for_every_field():
    assert OTHERS.keys() == Run.model_fields.keys()
    names = [run().run_id] + [run(**{field: value}).run_id for field, value in OTHERS.items() if field not in CHECKED]
    names += [run(cycle=1).run_id, run(network="plugin:mlp", network_options={"hidden": 8}).run_id]
    hashes = [name[-8:] for name in names]
    assert len(set(hashes)) == len(OTHERS) + 1


def test_a_path_of_weights_is_no_setting_of_a_run():
    with pytest.raises(
        ValidationError, match=r"expected the path of a file, or sha256: and 64 hex digits, given 'a\.pt'"
    ):
        run(initial_weights="a.pt")


def test_defaults_said_aloud_change_no_name():
    defaults = {name: f.default for name, f in Run.model_fields.items() if not f.is_required()}
    assert set(defaults) == set(OTHERS) - set(SMALL) - {"schedule"}
    assert run(**defaults).run_id == run().run_id
    assert run(alpha0=1).run_id == run(alpha0=1.0).run_id


def test_a_name_is_one_folder_below_its_dataset():
    assert re.fullmatch(r"digits/resnet-8-cosine-M2-cycle1-seed7-[0-9a-f]{8}", run(cycle=1, seed=7).run_id)


# A default's meaning never changes: the names of all runs leave it out.
def test_defaults_are_the_papers():
    assert {name: f.default for name, f in Experiment.model_fields.items() if not f.is_required()} == {
        "network_options": {},
        "initial_weights": None,
        "batch_size": 64,
        "train_size": None,
        "holdout": 0,
        "split_seed": 0,
        "alpha0": 0.1,
        "drops": (0.5, 0.75),
        "momentum": 0.9,
        "nesterov": True,
        "weight_decay": 1e-4,
        "dropout": 0.0,
        "stochastic_depth": 0.0,
        "padding": None,
        "flip": None,
        "lighting": None,
        "precision": "float32",
        "seed": 0,
        "independent_runs": 1,
        "replicates": 1,
    }


@pytest.mark.parametrize("model", [Recipe, Experiment, Run, StudyFile, Where, Drawing])
def test_every_field_is_described(model):
    for name, each in model.model_fields.items():
        assert each.description, name
        assert each.description.endswith("."), name


def test_frozen_and_hashable():
    first, second = run(), run()
    assert first == second
    assert hash(first) == hash(second)
    with pytest.raises(ValidationError, match="frozen"):
        first.seed = 3


def test_survives_json():
    first = run(drops=(0.25,), train_size=100)
    assert Run.model_validate(json.loads(json.dumps(first.model_dump(mode="json")))) == first


def test_steps_count_the_smaller_last_batch():
    assert [steps_per_epoch(n, 64) for n in (1, 63, 64, 65, 50_000)] == [1, 1, 1, 2, 782]
    assert run().total_steps(1437) == 4 * 23
    assert run(batch_size=1437).total_steps(1437) == 4


def test_examples_trained_on():
    assert run().training_examples(1437) == 1437
    assert run(holdout=100).training_examples(1437) == 1337
    assert run(train_size=500, holdout=100).training_examples(1437) == 500


def test_a_step_run_takes_its_snapshots_where_the_cosine_run_does():
    assert run(schedule="step").snapshot_steps(1437) == run().snapshot_steps(1437) == [46, 92]
    assert run().snapshots == run(schedule="step").snapshots == 2


def test_rates_of_a_step_run():
    step = run(schedule="step", alpha0=0.2)
    rates = [step.lr(t, 1437) for t in (1, 46, 47, 69, 70, 92)]
    assert rates == pytest.approx([0.2, 0.2, 0.02, 0.02, 0.002, 0.002])
    assert rates == [step_lr(t, alpha0=0.2, total_steps=92, drops=(0.5, 0.75)) for t in (1, 46, 47, 69, 70, 92)]
    thirds = run(schedule="step", drops=(1 / 3, 2 / 3))
    assert [thirds.lr(t, 64 * 90) for t in (120, 121, 240, 241)] == pytest.approx([0.1, 0.01, 0.01, 0.001])


def test_rates_of_a_cosine_run_restart_with_every_cycle():
    cosine = run(alpha0=0.2)
    assert [cosine.lr(t, 1437) for t in (1, 24, 47, 70)] == pytest.approx([0.2, 0.1, 0.2, 0.1])
    assert cosine.lr(46, 1437) == cosine.lr(92, 1437) == cosine_lr(46, alpha0=0.2, length=46) < 0.001


def test_eight_cycles_of_300_epochs():
    eight = Run(**CIFAR, budget=300, cycles=8, schedule="cosine", alpha0=0.2)
    ends = eight.snapshot_steps(50_000)
    assert ends == [29_325 * k for k in range(1, 9)]
    assert ends[-1] == eight.total_steps(50_000) == 300 * 782
    assert all(eight.lr(end, 50_000) < 1e-9 * 29_325 for end in ends)
    assert [eight.lr(end + 1, 50_000) for end in ends[:-1]] == [0.2] * 7


def test_a_partial_last_cycle_ends_with_the_budget():
    partial = run(budget=13, cycles=3, batch_size=1437)
    assert partial.snapshot_steps(1437) == [5, 10, 13]
    assert partial.lr(11, 1437) == 0.1
    assert partial.lr(13, 1437) == cosine_lr(3, alpha0=0.1, length=5) == pytest.approx(0.0654508497)
    assert [run(budget=13, cycles=3, batch_size=1437, cycle=k).snapshot_steps(1437) for k in (1, 2, 3)] == [
        [5],
        [5],
        [3],
    ]


def test_a_cycle_alone():
    alone = run(cycle=2, alpha0=0.2)
    assert alone.snapshots == 1
    assert alone.snapshot_steps(1437) == [46]
    assert [alone.lr(t, 1437) for t in range(1, 47)] == [run(alpha0=0.2).lr(t, 1437) for t in range(47, 93)]


@pytest.mark.parametrize("values", [{"cycle": 3}, {"cycle": 0}, {"schedule": "step", "cycle": 1}, {"method": "single"}])
def test_runs_that_cannot_be(values):
    with pytest.raises(ValidationError):
        run(**values)


@pytest.mark.parametrize(
    ("changes", "largest"),
    [
        ({"method": "single"}, 10**18 - 1),
        ({"method": "single", "replicates": 5}, 10**18 - 5),
        ({"method": "ensemble", "cycles": 3}, 10**18 - 2001),
        ({"method": "singlecycle", "cycles": 3, "replicates": 2}, 10**18 - 2002),
        ({"method": "snapshot", "independent_runs": 4, "cycles": 3}, 10**18 - 3001),
    ],
)
def test_the_seeds_of_all_networks_are_read_back(changes, largest):
    asked = {"dataset": "digits", "network": "resnet-8", "budget": 3, "cycles": 1} | changes
    seeds = [run.seed for run in plan.runs(Experiment(**asked, seed=largest))]
    assert max(seeds) == 10**18 - 1
    with pytest.raises(ValidationError, match=f"at most {largest}|or equal to {largest}"):
        Experiment(**asked, seed=largest + 1)
