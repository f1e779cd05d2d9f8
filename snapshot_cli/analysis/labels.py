"""Names of datasets, networks and methods for tables and figures."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from snapshot_cli.config.experiment import Experiment, Recipe
from snapshot_cli.config.plan import label
from snapshot_cli.datasets.catalogue import facts
from snapshot_cli.networks.names import is_external, parse

FAMILIES = {"resnet": "ResNet", "wide-resnet": "Wide-ResNet", "densenet": "DenseNet", "imagenet-resnet": "ResNet"}
AMBIGUOUS = {"resnet-50": "ResNet-50 (6n+2)"}  # the paper's ResNet-50 is imagenet-resnet-50
VARIED = tuple(name for name in Recipe.model_fields if name not in ("dataset", "network"))


def dataset(name: str) -> str:
    """Return a dataset's title, with the image size if the images were averaged down."""
    entry = facts(name)
    if entry is None:
        return name
    return entry.title if name == entry.name else f"{entry.title}, {entry.size}×{entry.size}"


def network(name: str) -> str:
    """Return a network's name with the paper's capitals; networks of other packages keep their name."""
    if is_external(name):
        return name
    architecture = parse(name)
    return AMBIGUOUS.get(name) or "-".join([FAMILIES[architecture.family], *map(str, architecture.sizes)])


def methods(experiments: Sequence[Experiment], *, without: Collection[str] = ()) -> dict[Experiment, str]:
    """Return a unique label for every experiment: its method, and the settings that differ among equal methods.

    `without` names settings to leave out because they are shown elsewhere, such as on an axis.
    """
    groups: dict[tuple[str, str, str], list[Experiment]] = {}
    for experiment in experiments:
        groups.setdefault((experiment.dataset, experiment.network, label(experiment)), []).append(experiment)
    return {
        experiment: label(experiment) + differing_settings(experiment, group, without)
        for group in groups.values()
        for experiment in group
    }


def differing_settings(experiment: Experiment, group: Sequence[Experiment], without: Collection[str] = ()) -> str:
    """Return the settings of an experiment that vary in its group, as text: ", name value" for every setting.

    The number of replicates is included if another experiment differs in nothing else.
    """
    shown = [name for name in VARIED if name not in without]
    differing = [name for name in shown if len({getattr(member, name) for member in group}) > 1]
    replicates = {
        member.replicates for member in group if _with_replicates(member, experiment.replicates) == experiment
    }
    differing += ["replicates"] if len(replicates) > 1 and "replicates" not in without else []
    return "".join(f", {name} {_as_yaml(getattr(experiment, name))}" for name in differing)


def _with_replicates(experiment: Experiment, replicates: int) -> Experiment:
    return experiment.model_copy(update={"replicates": replicates})


def _as_yaml(value: object) -> str:
    """Return the value of a setting as in a YAML file; hashes are shortened."""
    if value is None:
        return "null"
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]"
    if isinstance(value, str) and value.startswith("sha256:"):
        return value[:15]
    return str(value).lower() if isinstance(value, bool) else str(value)
