import pytest

from snapshot_cli.analysis import labels as naming
from snapshot_cli.config.experiment import Experiment


def experiment(method="snapshot", **settings):
    values = {"dataset": "cifar10", "network": "resnet-8", "budget": 4, "cycles": 2}
    return Experiment(method=method, **values | settings)


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("cifar10", "CIFAR-10"),
        ("cifar100", "CIFAR-100"),
        ("digits", "Digits"),
        ("cifar10-16", "CIFAR-10, 16×16"),
        ("my_birds", "my_birds"),
        ("cifar10-15", "cifar10-15"),
    ],
)
def test_datasets(name, title):
    assert naming.dataset(name) == title


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("resnet-110", "ResNet-110"),
        ("wide-resnet-32-4", "Wide-ResNet-32-4"),
        ("densenet-40-12", "DenseNet-40-12"),
        ("imagenet-resnet-50", "ResNet-50"),
        ("resnet-50", "ResNet-50 (6n+2)"),
    ],
)
def test_networks(name, title):
    assert naming.network(name) == title


@pytest.mark.parametrize(
    ("settings", "labels"),
    [
        ([{}], ["Snapshot (α₀ = 0.1)"]),
        ([{}, {"alpha0": 0.2}], ["Snapshot (α₀ = 0.1)", "Snapshot (α₀ = 0.2)"]),
        ([{}, {"cycles": 4}], ["Snapshot (α₀ = 0.1), cycles 2", "Snapshot (α₀ = 0.1), cycles 4"]),
        (
            [{}, {"cycles": 4, "budget": 8}],
            ["Snapshot (α₀ = 0.1), budget 4, cycles 2", "Snapshot (α₀ = 0.1), budget 8, cycles 4"],
        ),
        (
            [{"train_size": 100}, {}],
            ["Snapshot (α₀ = 0.1), train_size 100", "Snapshot (α₀ = 0.1), train_size null"],
        ),
        ([{}, {"batch_size": 32}], ["Snapshot (α₀ = 0.1), batch_size 64", "Snapshot (α₀ = 0.1), batch_size 32"]),
        ([{}, {"nesterov": False}], ["Snapshot (α₀ = 0.1), nesterov true", "Snapshot (α₀ = 0.1), nesterov false"]),
        (
            [{}, {"drops": (0.25,)}],
            ["Snapshot (α₀ = 0.1), drops [0.5, 0.75]", "Snapshot (α₀ = 0.1), drops [0.25]"],
        ),
        (
            [{"method": "single"}, {"method": "single", "alpha0": 0.2}],
            ["Single model, alpha0 0.1", "Single model, alpha0 0.2"],
        ),
        (
            [{}, {"initial_weights": f"sha256:{'ab' * 32}"}],
            ["Snapshot (α₀ = 0.1), initial_weights null", "Snapshot (α₀ = 0.1), initial_weights sha256:abababab"],
        ),
        ([{}, {"replicates": 3}], ["Snapshot (α₀ = 0.1), replicates 1", "Snapshot (α₀ = 0.1), replicates 3"]),
        (
            [{"budget": 8}, {"replicates": 3}],
            ["Snapshot (α₀ = 0.1), budget 8", "Snapshot (α₀ = 0.1), budget 4"],
        ),
        ([{"cycles": 4}, {"dataset": "digits"}, {"network": "resnet-14"}], ["Snapshot (α₀ = 0.1)"] * 3),
    ],
)
def test_methods_differ_by_what_varies(settings, labels):
    experiments = [experiment(**each) for each in settings]
    assert [naming.methods(experiments)[each] for each in experiments] == labels


def test_what_is_told_elsewhere_is_left_out():
    experiments = [experiment(cycles=2, budget=4), experiment(cycles=4, budget=8)]
    labels = naming.methods(experiments, without=["budget"])
    assert list(labels.values()) == ["Snapshot (α₀ = 0.1), cycles 2", "Snapshot (α₀ = 0.1), cycles 4"]
