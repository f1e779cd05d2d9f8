"""Names as people print them."""

from __future__ import annotations

from collections.abc import Sequence

from snapshot_cli.config.experiment import Experiment, Recipe
from snapshot_cli.config.plan import label
from snapshot_cli.datasets.catalogue import facts
from snapshot_cli.networks.names import parse

FAMILIES = {"resnet": "ResNet", "wide-resnet": "Wide-ResNet", "densenet": "DenseNet", "imagenet-resnet": "ResNet"}
VARIED = tuple(name for name in Recipe.model_fields if name not in ("dataset", "network"))


def dataset(name: str) -> str:
    """Return a dataset's title, with its size where the images were averaged down."""
    known = facts(name)
    if known is None:
        return name
    return known.title if name == known.name else f"{known.title}, {known.size}×{known.size}"


def network(name: str) -> str:
    """Return a network's name with the capitals of the paper."""
    architecture = parse(name)
    return "-".join([FAMILIES[architecture.family], *map(str, architecture.sizes)])


def methods(experiments: Sequence[Experiment]) -> dict[Experiment, str]:
    """Return the label of each experiment's method, with the settings that tell it from others of the same label."""
    groups: dict[tuple[str, str, str], list[Experiment]] = {}
    for experiment in experiments:
        groups.setdefault((experiment.dataset, experiment.network, label(experiment)), []).append(experiment)
    return {each: label(each) + _difference(each, group) for group in groups.values() for each in group}


def _difference(experiment: Experiment, others: Sequence[Experiment]) -> str:
    differing = [name for name in VARIED if len({getattr(other, name) for other in others}) > 1]
    return "".join(f", {name} {_value(getattr(experiment, name))}" for name in differing)


def _value(value: object) -> str:
    """Return a setting as a YAML file has it."""
    if value is None:
        return "null"
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value)
