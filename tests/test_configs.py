from collections import Counter

import pytest

from snapshot_cli.analysis.paper import is_full_size, lookup
from snapshot_cli.config.load import load
from snapshot_cli.config.plan import expand, runs
from snapshot_cli.config.shipped import CHECKOUT
from snapshot_cli.config.study import Study
from snapshot_cli.datasets.catalogue import CATALOGUE, averaged_sizes

CONFIGS = CHECKOUT / "configs"
# file: cells, runs
EXPECTED = {
    "cifar10/densenet-100-24": (1, 1),
    "cifar10/densenet-40-12": (1, 1),
    "cifar10/resnet-110": (1, 1),
    "cifar10/wide-resnet-32-4": (1, 1),
    "cifar100/densenet-100-24": (1, 1),
    "cifar100/densenet-40-12": (1, 1),
    "cifar100/densenet-40-12-table3": (1, 1),
    "cifar100/resnet-110": (1, 1),
    "cifar100/wide-resnet-32-4": (1, 1),
    "svhn/densenet-40-12": (1, 1),
    "svhn/resnet-110": (1, 1),
    "svhn/wide-resnet-32-4": (1, 1),
    "tiny-imagenet/densenet-40-12": (1, 1),
    "tiny-imagenet/resnet-110": (1, 1),
    "tiny-imagenet/wide-resnet-32-4": (1, 1),
    "demo/cifar10": (1, 1),
    "demo/snapshot": (1, 1),
    "imagenet/resnet-50": (1, 1),
    "studies/demo/figure2": (2, 2),
    "studies/demo/figure3": (3, 3),
    "studies/demo/figure4": (11, 25),
    "studies/demo/figure5": (2, 2),
    "studies/demo/figure6": (2, 2),
    "studies/demo/figure7": (3, 3),
    "studies/demo/figure8": (3, 3),
    "studies/demo/implicit": (6, 6),
    "studies/demo/pilot": (960, 1280),
    "studies/demo/replicas": (4, 6),
    "studies/demo/table1": (30, 40),
    "studies/demo/table2": (3, 3),
    "studies/demo/table3": (3, 3),
    "studies/figure2": (2, 2),
    "studies/figure3": (6, 6),
    "studies/figure4": (25, 78),
    "studies/figure5": (4, 4),
    "studies/figure6": (4, 4),
    "studies/figure7": (24, 24),
    "studies/figure8": (18, 18),
    "studies/medium/pilot": (8, 8),
    "studies/medium/table1": (38, 54),
    "studies/small/figure2": (10, 10),
    "studies/small/figure3": (15, 15),
    "studies/small/figure4": (41, 79),
    "studies/small/figure5": (2, 2),
    "studies/small/figure6": (10, 10),
    "studies/small/figure7": (30, 30),
    "studies/small/figure8": (15, 15),
    "studies/small/precision": (12, 12),
    "studies/small/pilot": (12, 8),
    "studies/small/implicit": (6, 6),
    "studies/small/replicas": (4, 8),
    "studies/small/table1": (85, 130),
    "studies/small/table2": (3, 3),
    "studies/small/table3": (5, 5),
    "studies/implicit": (6, 6),
    "studies/replicas": (4, 9),
    "studies/table1": (80, 129),
    "studies/table2": (3, 3),
    "studies/table3": (5, 5),
}
EXAMPLES = {name: known.train for name, known in CATALOGUE.items()} | {
    f"{name}-{side}": known.train for name, known in CATALOGUE.items() for side in averaged_sizes(known)
}


def shipped(name):
    return load(CONFIGS / f"{name}.yaml", training_examples=EXAMPLES)


def test_every_file_is_in_the_table():
    files = set(CONFIGS.rglob("*.yaml"))
    assert {path.relative_to(CONFIGS).as_posix() for path in files} == {f"{name}.yaml" for name in EXPECTED}


@pytest.mark.parametrize("name", EXPECTED)
def test_every_file_loads_and_expands(name):
    asked = shipped(name)
    assert (len(expand(asked)), len(runs(asked))) == EXPECTED[name]
    assert isinstance(asked, Study) == name.startswith("studies/")
    assert len({run.run_id for run in runs(asked)}) == len(runs(asked))


METHODS = ["single", "dropout", "nocycle", "singlecycle", "snapshot 0.1", "snapshot 0.2"]
# network, dataset: B, M, batch size, images withheld, runs; section 4.1
TABLE_1 = {
    ("resnet-110", "cifar10"): (200, 5, 64, 0, 8),
    ("resnet-110", "cifar100"): (200, 5, 64, 0, 8),
    ("resnet-110", "svhn"): (40, 5, 64, 6000, 8),
    ("resnet-110", "tiny-imagenet"): (150, 6, 128, 0, 9),
    ("wide-resnet-32-4", "cifar10"): (200, 5, 64, 0, 9),
    ("wide-resnet-32-4", "cifar100"): (200, 5, 64, 0, 9),
    ("wide-resnet-32-4", "svhn"): (40, 5, 64, 6000, 9),
    ("wide-resnet-32-4", "tiny-imagenet"): (150, 6, 128, 0, 10),
    ("densenet-40-12", "cifar10"): (300, 6, 64, 0, 10),
    ("densenet-40-12", "cifar100"): (300, 6, 64, 0, 10),
    ("densenet-40-12", "svhn"): (40, 5, 64, 6000, 9),
    ("densenet-40-12", "tiny-imagenet"): (150, 6, 64, 0, 10),
    ("densenet-100-24", "cifar10"): (300, 6, 64, 0, 10),
    ("densenet-100-24", "cifar100"): (300, 6, 64, 0, 10),
}


def row_of(e):
    return f"{e.method} {e.alpha0}" if e.method == "snapshot" else e.method


def test_table_1_is_the_papers():
    experiments = shipped("studies/table1").experiments
    assert {(e.network, e.dataset, e.budget, e.cycles, e.batch_size, e.holdout, row_of(e)) for e in experiments} == {
        (*pair, *settings, method)
        for pair, (*settings, _) in TABLE_1.items()
        for method in METHODS
        if (pair[0], method) != ("resnet-110", "dropout")
    }
    assert all(is_full_size(experiment) for experiment in experiments)


def test_every_number_of_table_1_in_the_paper_has_its_cell():
    found = [lookup(e) for e in shipped("studies/table1").experiments]
    assert [value.source for value in found] == ["Table 1"] * 80


def test_table_2_is_the_papers():
    experiments = shipped("studies/table2").experiments
    assert all(is_full_size(experiment) for experiment in (*experiments, shipped("imagenet/resnet-50")))
    found = [lookup(e).value for e in experiments]
    assert found == [24.01, 23.33, 23.96]


def test_table_1_has_14_pairs_129_runs_and_66_full_budgets():
    table1 = runs(shipped("studies/table1"))
    assert Counter((run.network, run.dataset) for run in table1) == {pair: row[-1] for pair, row in TABLE_1.items()}
    assert (len(TABLE_1), len(table1)) == (14, 129)
    full = {pair: max(run.budget for run in table1 if (run.network, run.dataset) == pair) for pair in TABLE_1}
    budgets = [run.budget / full[run.network, run.dataset] for run in table1]
    assert sum(budgets) == pytest.approx(66, abs=1e-9)
    assert sum(budget == 1 for budget in budgets) == 52


def test_the_experiment_of_table_3_is_its_cell():
    (run,) = runs(shipped("cifar100/densenet-40-12-table3"))
    assert [each.cycles for each in runs(shipped("studies/table3")) if each.run_id == run.run_id] == [8]


@pytest.mark.parametrize(
    ("name", "alone"),
    [
        ("studies/figure2", 0), ("studies/figure3", 0), ("studies/figure5", 0), ("studies/figure6", 0),
        ("studies/figure7", 0), ("studies/figure8", 0),
        ("studies/figure4", 61),  # four budgets x two datasets x (1 snapshot run + 6 cycles), five members more
        ("studies/table3", 4),  # M = 2, 4, 8, 10
        ("studies/small/figure2", 0), ("studies/small/figure3", 0),
        ("studies/small/figure5", 0),  # of seed 3
        ("studies/small/figure6", 0), ("studies/small/figure7", 0), ("studies/small/figure8", 0),
        ("studies/small/replicas", 6),  # two snapshot runs and four members of the true ensemble
        ("studies/small/figure4", 34),  # (3 + 1 + 1) seeds of smaller budgets x (1 + 5), four members more
        ("studies/small/precision", 6),  # those in bfloat16
        ("studies/small/table2", 2), ("studies/small/table3", 4),
        ("studies/demo/figure2", 0), ("studies/demo/figure3", 0), ("studies/demo/figure5", 0),
        ("studies/demo/figure6", 0), ("studies/demo/figure7", 0), ("studies/demo/figure8", 3),
        ("studies/demo/figure4", 18), ("studies/demo/table2", 2), ("studies/demo/table3", 2),
    ],
)  # fmt: skip
def test_runs_are_shared_with_table_1(name, alone):
    table1 = {run.run_id for run in runs(shipped(f"{name.rpartition('/')[0]}/table1"))}
    assert len({run.run_id for run in runs(shipped(name))} - table1) == alone


@pytest.mark.parametrize("size", ["", "small/", "demo/"])
def test_every_table_and_figure_comes_in_every_size(size):
    names = {f"table{k}" for k in (1, 2, 3)} | {f"figure{k}" for k in range(2, 9)}
    found = {name.removeprefix(f"studies/{size}") for name in EXPECTED if name.startswith(f"studies/{size}")}
    assert names <= found
    kinds = {drawing.kind for name in names for drawing in shipped(f"studies/{size}{name}").render.values()}
    assert kinds == {
        "methods", "cycles", "metrics", "members", "ensemble-size", "loss", "budget", "interpolation",
        "story", "correlation", "over-time", "calibration", "cost",
    }  # fmt: skip


def test_pilots_are_scored_on_withheld_images():
    assert {name for name in EXPECTED if getattr(shipped(name), "split", "test") == "holdout"} == {
        "studies/demo/pilot", "studies/medium/pilot", "studies/small/pilot",
    }  # fmt: skip
