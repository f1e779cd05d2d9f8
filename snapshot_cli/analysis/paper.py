"""The numbers of the paper's tables and figures (Huang et al., ICLR 2017, final version)."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean
from typing import Any, Literal, NamedTuple

from snapshot_cli.config.experiment import Experiment, Recipe
from snapshot_cli.config.plan import DROP_PROBABILITY

Status = Literal["rerun", "copied", "figure"]


@dataclass(frozen=True)
class PaperValue:
    """An error in percent and the table or figure that has it.

    `status` is "rerun" (run by the authors), "copied" (from earlier work, starred in the paper) or "figure" (read off a
    figure to within `uncertainty` points).
    """

    value: float
    status: Status
    source: str
    uncertainty: float | None = None


DATASETS = ("cifar10", "cifar100", "svhn", "tiny-imagenet")  # the columns of Table 1

TABLE1: dict[str, dict[str, tuple[float | None, ...]]] = {
    "resnet-110": {
        "single": (5.52, 28.02, 1.96, 46.50),
        "nocycle": (5.49, 26.97, 1.78, 43.69),
        "singlecycle": (6.66, 24.54, 1.74, 42.60),
        "snapshot 0.1": (5.73, 25.55, 1.63, 40.54),
        "snapshot 0.2": (5.32, 24.19, 1.66, 39.40),
    },
    "wide-resnet-32-4": {
        "single": (5.43, 23.55, 1.90, 39.63),
        "dropout": (4.68, 22.82, 1.81, 36.58),
        "nocycle": (5.18, 22.81, 1.81, 38.64),
        "singlecycle": (5.95, 21.38, 1.65, 35.53),
        "snapshot 0.1": (4.41, 21.26, 1.64, 35.45),
        "snapshot 0.2": (4.73, 21.56, 1.51, 32.90),
    },
    "densenet-40-12": {
        "single": (5.24, 24.42, 1.77, 39.09),
        "dropout": (6.08, 25.79, 1.79, 39.68),
        "nocycle": (5.20, 24.63, 1.80, 38.51),
        "singlecycle": (5.43, 22.51, 1.87, 38.00),
        "snapshot 0.1": (4.99, 23.34, 1.64, 37.25),
        "snapshot 0.2": (4.84, 21.93, 1.73, 36.61),
    },
    "densenet-100-24": {
        "single": (3.74, 19.25, None, None),
        "dropout": (3.65, 18.77, None, None),
        "nocycle": (3.80, 19.30, None, None),
        "singlecycle": (4.52, 18.38, None, None),
        "snapshot 0.1": (3.57, 18.12, None, None),
        "snapshot 0.2": (3.44, 17.41, None, None),
    },
}

COPIED = {
    ("densenet-40-12", "single", "cifar10"),
    ("densenet-40-12", "single", "cifar100"),
    ("densenet-40-12", "dropout", "svhn"),
    ("densenet-100-24", "single", "cifar10"),
    ("densenet-100-24", "single", "cifar100"),
}

TABLE3 = {2: 22.92, 4: 22.07, 6: 21.93, 8: 21.89, 10: 22.16}  # DenseNet-40, CIFAR-100, alpha0 0.2, by M

FIGURE4_BUDGETS = (60, 120, 180, 240, 300)
FIGURE4: dict[str, dict[str, tuple[float, ...]]] = {
    "cifar10": {
        "snapshot 0.1": (7.28, 5.97, 5.57, 5.21, 4.99),
        "singlecycle": (10.36, 7.44, 6.18, 5.73, 5.43),
    },
    "cifar100": {
        "snapshot 0.1": (27.04, 24.91, 24.12, 22.95, 23.34),
        "singlecycle": (36.2, 27.33, 24.36, 22.94, 22.51),
    },
}
FIGURE4_UNCERTAINTY = {"cifar10": 0.05, "cifar100": 0.1}

# Figure 4 right: CIFAR-100, DenseNet-40, by ensemble size 1..6. The dashed single model is at 25.9, where the true
# ensemble starts; Table 1 has another value (24.42, copied).
FIGURE4_SNAPSHOT = (24.95, 23.9, 23.05, 22.5, 22.4, 21.93)
FIGURE4_ENSEMBLE = (25.9, 22.8, 21.25, 20.4, 19.8, 19.35)

# Figure 2: CIFAR-10, DenseNet-100, B = 300, M = 6; (epoch, mean training loss), read off.
FIGURE2: dict[str, tuple[tuple[int, float], ...]] = {
    "single": (
        (50, 0.15), (100, 0.125), (149, 0.115), (155, 1.0e-2), (160, 5e-3), (200, 1.3e-3), (240, 1.1e-3), (300, 7e-4),
    ),
    "snapshot 0.1": (
        (50, 2.8e-3), (51, 0.33), (100, 1.1e-3), (101, 0.28), (150, 9e-4), (151, 0.26), (200, 9e-4), (201, 0.26),
        (250, 9e-4), (251, 0.24), (300, 8e-4),
    ),
}  # fmt: skip
FIGURE2_UNCERTAINTY = 0.15  # relative


@dataclass(frozen=True)
class _Cell:
    """The key of a value: the settings that the paper trained, and the number of members that it averaged."""

    dataset: str
    network: str
    method: str
    budget: float
    alpha0: float = 0.1
    cycles: int | None = None
    size: int | None = None


def lookup(experiment: Experiment, size: int | None = None) -> PaperValue | None:
    """Return the paper's error for an experiment with exactly the paper's settings, None for any other.

    `size` selects the ensemble of the last `size` members instead of all. Cycles are ignored for single and dropout; a
    true ensemble is looked up by its size. Table 2 does not state alpha0: 0.1 is assumed.
    """
    if experiment.independent_runs > 1 or not is_full_size(experiment):
        return None
    cycles: int | None = experiment.cycles
    size = None if experiment.method in ("single", "dropout") else size or cycles
    if experiment.method in ("single", "dropout", "ensemble"):
        cycles = None
    settings = (experiment.dataset, experiment.network, experiment.method, experiment.budget, experiment.alpha0)
    return _VALUES.get(_Cell(*settings, cycles, size))


class Gain(NamedTuple):
    """How much lower Snapshot's error is: in points, and as a fraction of the baseline's error."""

    points: float
    relative: float


def gain(dataset: str, baseline: str, alpha0: float) -> Gain | None:
    """Return Snapshot's gain over a baseline in Table 1, averaged over networks with both; None if there is none."""
    if dataset not in DATASETS:
        return None
    column = DATASETS.index(dataset)
    gains = []
    for rows in TABLE1.values():
        before, after = (rows.get(row, (None,) * len(DATASETS))[column] for row in (baseline, f"snapshot {alpha0:g}"))
        if before is not None and after is not None:
            gains.append(Gain(before - after, (before - after) / before))
    return Gain(*map(fmean, zip(*gains, strict=True))) if gains else None


def losses(experiment: Experiment) -> dict[int, float]:
    """Return the training losses (nats) read off Figure 2, by epoch; empty for other experiments."""
    figure2 = ("cifar10", "densenet-100-24", 300, 6)
    settings = (experiment.dataset, experiment.network, experiment.budget, experiment.cycles)
    rows = {_method(row): points for row, points in FIGURE2.items()}
    if settings != figure2 or not is_full_size(experiment):
        return {}
    return dict(rows.get((experiment.method, experiment.alpha0), ()))


def is_full_size(experiment: Experiment) -> bool:
    """Return whether an experiment has the paper's settings, apart from those that `lookup` checks."""
    looked_up = {"dataset", "network", "budget", "cycles", "alpha0", "seed", "split_seed"}
    expected = {name: field.default for name, field in Recipe.model_fields.items() if name not in looked_up}
    expected |= _exceptions(experiment.dataset, experiment.network)
    if experiment.method == "dropout":
        expected["dropout"] = DROP_PROBABILITY if experiment.dropout else 0.0  # 0 means the method's default
    return all(getattr(experiment, name) == value for name, value in expected.items())


def _exceptions(dataset: str, network: str) -> dict[str, Any]:
    """Return the paper's non-default settings (section 4.1; the drops of ImageNet are from its code)."""
    if dataset == "imagenet":
        return {"batch_size": 256, "drops": (1 / 3, 2 / 3)}
    if dataset == "tiny-imagenet" and not network.startswith("densenet"):
        return {"batch_size": 128}
    if dataset == "svhn":
        return {"holdout": 6000}
    return {}


def _method(row: str) -> tuple[str, float]:
    """Split the name of a row, such as "snapshot 0.2", into method and alpha0; alpha0 is 0.1 by default."""
    method, _, alpha0 = row.partition(" ")
    return method, float(alpha0 or 0.1)


def _schedule(dataset: str, network: str) -> tuple[int, int]:
    """Return the paper's budget in epochs and number of cycles M (section 4.1)."""
    if dataset == "svhn":
        return 40, 5
    if dataset == "tiny-imagenet":
        return 150, 6
    return (300, 6) if network.startswith("densenet") else (200, 5)


def _table1() -> dict[_Cell, PaperValue]:
    values = {}
    for network, rows in TABLE1.items():
        for row, errors in rows.items():
            method, alpha0 = _method(row)
            for dataset, error in zip(DATASETS, errors, strict=True):
                if error is None:
                    continue
                budget, m = _schedule(dataset, network)
                cycles = None if method in ("single", "dropout") else m
                status: Status = "copied" if (network, row, dataset) in COPIED else "rerun"
                cell = _Cell(dataset, network, method, budget, alpha0, cycles, cycles)
                values[cell] = PaperValue(error, status, "Table 1")
    return values


def _table2() -> dict[_Cell, PaperValue]:
    """Return the ImageNet values; the single model's equals fb.resnet.torch's published one, so probably copied."""
    network = ("imagenet", "imagenet-resnet-50")
    return {
        _Cell(*network, "single", 90): PaperValue(24.01, "copied", "Table 2"),
        _Cell(*network, "snapshot", 90, 0.1, 2, 2): PaperValue(23.33, "rerun", "Table 2"),
        _Cell(*network, "snapshot", 90, 0.1, 3, 3): PaperValue(23.96, "rerun", "Table 2"),
    }


def _table3() -> dict[_Cell, PaperValue]:
    network = ("cifar100", "densenet-40-12")
    return {_Cell(*network, "snapshot", 300, 0.2, m, m): PaperValue(v, "rerun", "Table 3") for m, v in TABLE3.items()}


def _figure4() -> dict[_Cell, PaperValue]:
    values = {}
    for dataset, rows in FIGURE4.items():
        for row, errors in rows.items():
            method, alpha0 = _method(row)
            for budget, error in zip(FIGURE4_BUDGETS, errors, strict=True):
                cell = _Cell(dataset, "densenet-40-12", method, budget, alpha0, 6, 6)
                values[cell] = PaperValue(error, "figure", "Figure 4", FIGURE4_UNCERTAINTY[dataset])
    network = ("cifar100", "densenet-40-12")
    for size, error in enumerate(FIGURE4_SNAPSHOT, start=1):
        values[_Cell(*network, "snapshot", 300, 0.2, 6, size)] = PaperValue(error, "figure", "Figure 4 right", 0.1)
    for size, error in enumerate(FIGURE4_ENSEMBLE, start=1):
        values[_Cell(*network, "ensemble", 300, 0.1, None, size)] = PaperValue(error, "figure", "Figure 4 right", 0.1)
    return values


_VALUES = {**_figure4(), **_table3(), **_table2(), **_table1()}  # printed numbers override those read off a figure
