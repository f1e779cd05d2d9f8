from typing import get_args

import pytest
from fabricated_runs import experiment

from snapshot_cli.analysis import paper
from snapshot_cli.analysis.paper import PaperValue, lookup
from snapshot_cli.config.experiment import Experiment, Method

# The fact sheet's machine-readable targets, section 9, written out a second time and in its own names.
DATASETS = ["cifar10", "cifar100", "svhn", "tiny-imagenet"]
NETWORKS = {
    "resnet110": "resnet-110",
    "wrn32x4": "wide-resnet-32-4",
    "densenet40": "densenet-40-12",
    "densenet100": "densenet-100-24",
}
TARGETS = {
    "resnet110": {
        "single": [5.52, 28.02, 1.96, 46.50],
        "nocycle": [5.49, 26.97, 1.78, 43.69],
        "singlecycle": [6.66, 24.54, 1.74, 42.60],
        "snapshot_0.1": [5.73, 25.55, 1.63, 40.54],
        "snapshot_0.2": [5.32, 24.19, 1.66, 39.40],
    },
    "wrn32x4": {
        "single": [5.43, 23.55, 1.90, 39.63],
        "dropout": [4.68, 22.82, 1.81, 36.58],
        "nocycle": [5.18, 22.81, 1.81, 38.64],
        "singlecycle": [5.95, 21.38, 1.65, 35.53],
        "snapshot_0.1": [4.41, 21.26, 1.64, 35.45],
        "snapshot_0.2": [4.73, 21.56, 1.51, 32.90],
    },
    "densenet40": {
        "single": [5.24, 24.42, 1.77, 39.09],
        "dropout": [6.08, 25.79, 1.79, 39.68],
        "nocycle": [5.20, 24.63, 1.80, 38.51],
        "singlecycle": [5.43, 22.51, 1.87, 38.00],
        "snapshot_0.1": [4.99, 23.34, 1.64, 37.25],
        "snapshot_0.2": [4.84, 21.93, 1.73, 36.61],
    },
    "densenet100": {
        "single": [3.74, 19.25, None, None],
        "dropout": [3.65, 18.77, None, None],
        "nocycle": [3.80, 19.30, None, None],
        "singlecycle": [4.52, 18.38, None, None],
        "snapshot_0.1": [3.57, 18.12, None, None],
        "snapshot_0.2": [3.44, 17.41, None, None],
    },
}
STARRED = {("single", 5.24), ("single", 24.42), ("single", 3.74), ("single", 19.25), ("dropout", 1.79)}


def paper_schedule(dataset, network):
    budget, cycles = {"svhn": (40, 5), "tiny-imagenet": (150, 6)}.get(dataset, (None, None))
    return (budget, cycles) if budget else (300, 6) if "densenet" in network else (200, 5)


def find(size=None, **settings):
    """Look up an experiment with the paper's other settings for its dataset and network."""
    others = {"imagenet": {"batch_size": 256, "drops": (1 / 3, 2 / 3)}, "svhn": {"holdout": 6000}}
    if not settings["network"].startswith("densenet"):
        others["tiny-imagenet"] = {"batch_size": 128}
    return lookup(Experiment(**others.get(settings["dataset"], {}) | {"cycles": 6} | settings), size)


def table1_cells():
    for name, rows in TARGETS.items():
        for row, errors in rows.items():
            for dataset, error in zip(DATASETS, errors, strict=True):
                yield NETWORKS[name], row, dataset, error


@pytest.mark.parametrize(("network", "row", "dataset", "error"), list(table1_cells()))
def test_every_cell_of_table_1(network, row, dataset, error):
    method, _, alpha0 = row.partition("_")
    budget, cycles = paper_schedule(dataset, network)
    found = find(
        dataset=dataset, network=network, method=method, alpha0=float(alpha0 or 0.1), cycles=cycles, budget=budget
    )
    if error is None:
        assert found is None
        return
    status = "copied" if (method, error) in STARRED and network.startswith("densenet") else "rerun"
    assert found == PaperValue(error, status, "Table 1")
    assert method in get_args(Method)


def test_five_entries_are_starred():
    values = [v for v in paper._VALUES.values() if v.source == "Table 1"]
    assert len(values) == 80  # 20 of ResNet-110, which has no dropout, 24, 24 and 12 of DenseNet-100
    assert sorted(v.value for v in values if v.status == "copied") == [1.79, 3.74, 5.24, 19.25, 24.42]


@pytest.mark.parametrize(
    ("method", "cycles", "value"),
    [
        ("single", 2, PaperValue(24.01, "copied", "Table 2")),
        ("snapshot", 2, PaperValue(23.33, "rerun", "Table 2")),
        ("snapshot", 3, PaperValue(23.96, "rerun", "Table 2")),
        ("snapshot", 4, None),
    ],
)
def test_table_2(method, cycles, value):
    cell = {"dataset": "imagenet", "network": "imagenet-resnet-50", "alpha0": 0.1, "budget": 90}
    assert find(method=method, cycles=cycles, **cell) == value
    assert find(method=method, cycles=cycles, **cell | {"budget": 45}) is None


CIFAR100 = {"dataset": "cifar100", "network": "densenet-40-12", "budget": 300}


@pytest.mark.parametrize(("cycles", "error"), [(2, 22.92), (4, 22.07), (6, 21.93), (8, 21.89), (10, 22.16)])
def test_table_3(cycles, error):
    found = find(method="snapshot", alpha0=0.2, cycles=cycles, **CIFAR100)
    assert found == PaperValue(error, "rerun", "Table 1" if cycles == 6 else "Table 3")


@pytest.mark.parametrize(
    ("dataset", "method", "errors", "uncertainty"),
    [
        ("cifar10", "snapshot", [7.28, 5.97, 5.57, 5.21, 4.99], 0.05),
        ("cifar10", "singlecycle", [10.36, 7.44, 6.18, 5.73, 5.43], 0.05),
        ("cifar100", "snapshot", [27.04, 24.91, 24.12, 22.95, 23.34], 0.1),
        ("cifar100", "singlecycle", [36.2, 27.33, 24.36, 22.94, 22.51], 0.1),
    ],
)
def test_figure_4_by_budget(dataset, method, errors, uncertainty):
    for budget, error in zip([60, 120, 180, 240, 300], errors, strict=True):
        found = find(dataset=dataset, network="densenet-40-12", method=method, alpha0=0.1, cycles=6, budget=budget)
        printed = PaperValue(error, "rerun", "Table 1")
        assert found == (printed if budget == 300 else PaperValue(error, "figure", "Figure 4", uncertainty))


def test_figure_4_by_ensemble_size():
    snapshot = [24.95, 23.9, 23.05, 22.5, 22.4, 21.93]
    true = [25.9, 22.8, 21.25, 20.4, 19.8, 19.35]
    for size in range(1, 7):
        found = find(method="snapshot", alpha0=0.2, cycles=6, size=size, **CIFAR100)
        drawn = PaperValue(snapshot[size - 1], "figure", "Figure 4 right", 0.1)
        assert found == (drawn if size < 6 else PaperValue(21.93, "rerun", "Table 1"))
        drawn = PaperValue(true[size - 1], "figure", "Figure 4 right", 0.1)
        assert find(method="ensemble", alpha0=0.1, cycles=6, size=size, **CIFAR100) == drawn
        assert find(method="ensemble", alpha0=0.1, cycles=size, **CIFAR100) == drawn
    assert paper.FIGURE4_ENSEMBLE[0] == 25.9


@pytest.mark.parametrize(
    "change",
    [
        {"budget": 300},
        {"cycles": 6},
        {"alpha0": 0.3},
        {"method": "dropout"},
        {"method": "singlecycle", "alpha0": 0.2},
        {"method": "nocycle", "alpha0": 0.2},
        {"method": "single", "alpha0": 0.2},
        {"method": "ensemble", "alpha0": 0.1},
        {"dataset": "cifar-10"},
        {"network": "resnet-56"},
        {"size": 3},
    ],
)
def test_only_the_papers_own_settings_match(change):
    cell = {"dataset": "cifar10", "network": "resnet-110", "method": "snapshot"}
    cell |= {"alpha0": 0.2, "cycles": 5, "budget": 200}
    assert find(**cell) == PaperValue(5.32, "rerun", "Table 1")
    assert find(**cell | change) is None


@pytest.mark.parametrize("cycles", [2, 5, 6])
def test_single_models_have_no_cycles(cycles):
    cell = {"dataset": "cifar10", "network": "wide-resnet-32-4", "alpha0": 0.1, "budget": 200}
    assert find(method="single", cycles=cycles, **cell).value == 5.43
    assert find(method="dropout", cycles=cycles, size=1, **cell).value == 4.68


def test_losses_of_figure_2_are_for_its_experiment_alone():
    shown = {"dataset": "cifar10", "network": "densenet-100-24", "budget": 300, "cycles": 6}
    assert paper.losses(experiment("single", **shown))[300] == 7e-4
    assert paper.losses(experiment(**shown))[51] == 0.33
    for other in ({"alpha0": 0.2}, {"dataset": "cifar100"}, {"cycles": 5}, {"train_size": 5000}):
        assert paper.losses(experiment(**shown | other)) == {}
