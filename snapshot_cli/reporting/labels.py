"""Names as people print them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from snapshot_cli.config.experiment import Experiment, Recipe
from snapshot_cli.config.plan import label
from snapshot_cli.datasets.catalogue import facts
from snapshot_cli.networks.names import is_elsewhere, parse

FAMILIES = {"resnet": "ResNet", "wide-resnet": "Wide-ResNet", "densenet": "DenseNet", "imagenet-resnet": "ResNet"}
AMBIGUOUS = {"resnet-50": "ResNet-50 (6n+2)"}  # the paper's ResNet-50 is imagenet-resnet-50
VARIED = tuple(name for name in Recipe.model_fields if name not in ("dataset", "network"))


def dataset(name: str) -> str:
    """Return a dataset's title, with its size where the images were averaged down."""
    known = facts(name)
    if known is None:
        return name
    return known.title if name == known.name else f"{known.title}, {known.size}×{known.size}"


def network(name: str) -> str:
    """Return a network's name with the capitals of the paper; one from elsewhere is called as it is there."""
    if is_elsewhere(name):
        return name
    architecture = parse(name)
    return AMBIGUOUS.get(name) or "-".join([FAMILIES[architecture.family], *map(str, architecture.sizes)])


def methods(experiments: Sequence[Experiment], *, without: Collection[str] = ()) -> dict[Experiment, str]:
    """Return the label of each experiment's method, with the settings that tell it from others of the same label.

    Settings in `without` are told elsewhere, such as on an axis, and are left out.
    """
    groups: dict[tuple[str, str, str], list[Experiment]] = {}
    for experiment in experiments:
        groups.setdefault((experiment.dataset, experiment.network, label(experiment)), []).append(experiment)
    return {each: label(each) + difference(each, group, without) for group in groups.values() for each in group}


def difference(experiment: Experiment, among: Sequence[Experiment], without: Collection[str] = ()) -> str:
    """Return the settings of an experiment that differ among some, each after a comma.

    Its number of replicates is one of them where another is the same in all else.
    """
    told = [name for name in VARIED if name not in without]
    differing = [name for name in told if len({getattr(other, name) for other in among}) > 1]
    alike = {other.replicates for other in among if _done(other, experiment.replicates) == experiment}
    differing += ["replicates"] if len(alike) > 1 and "replicates" not in without else []
    return "".join(f", {name} {_value(getattr(experiment, name))}" for name in differing)


def _done(experiment: Experiment, replicates: int) -> Experiment:
    return experiment.model_copy(update={"replicates": replicates})


def _value(value: object) -> str:
    """Return a setting as a YAML file has it."""
    if value is None:
        return "null"
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]"
    if isinstance(value, str) and value.startswith("sha256:"):
        return value[:15]
    return str(value).lower() if isinstance(value, bool) else str(value)
