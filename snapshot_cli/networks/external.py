"""External networks by name: torchvision's, timm's and those of plug-ins."""

from __future__ import annotations

import inspect
import types
import typing
import warnings
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from snapshot_cli.errors import ConfigError, UserError
from snapshot_cli.networks import plugins

if TYPE_CHECKING:
    from torch import nn

    from snapshot_cli.networks.plugins import Builder

SIDE_PARAMETERS = ("image_size", "img_size")  # the names that builders use, where they take the side of the images
DROPOUT_PARAMETERS = ("dropout", "drop_rate")
FIXED = {
    "num_classes", "in_chans", "weights", "progress", "pretrained", "device", "dtype", *SIDE_PARAMETERS,
    *DROPOUT_PARAMETERS,
}  # fmt: skip
PLUGIN_PARAMETERS = ("classes", "image_size", "dropout")  # the first three of a plug-in's builder, in this order


def build(name: str, classes: int, image_size: int, dropout: float, options: Mapping[str, Any]) -> nn.Module:
    """Return the network of a name such as timm:mixer_b16_224, initialised by its own code from torch's generator.

    Raises ConfigError for an unknown name, with the three nearest, for an option that the builder does not take, and
    for dropout if the network has none; UserError, with the line of code, if the builder raises.
    """
    source, _, inner = name.partition(":")
    builder = _find_builder(source, inner)
    if source == "plugin":
        _check_options(name, options, _plugin_options(name, builder))
        return _call(name, builder, [classes, image_size, dropout], options)
    accepted = parameters(builder)
    settings: dict[str, Any] = {"num_classes": classes} | {
        side: image_size for side in SIDE_PARAMETERS if side in accepted
    }
    if dropout:
        dropout_parameter = next((parameter for parameter in DROPOUT_PARAMETERS if parameter in accepted), None)
        if dropout_parameter is None:
            raise ConfigError(f"{name} has no dropout; take dropout out or set it to 0")
        settings[dropout_parameter] = dropout
    if not {*options} <= {*accepted} - FIXED or any(is_fixed(builder, option) for option in options):
        _check_options(name, options, options_of(builder))
    return _call(name, builder, [], settings | dict(options))


def names(source: str) -> list[str]:
    """Return the names of all networks of a source: torchvision, timm or plugin; none if timm is not installed."""
    if source == "plugin":
        return plugins.names()
    if source == "torchvision":
        from torchvision import models  # type: ignore[import-untyped, unused-ignore]

        return list(models.list_models(module=models))
    if find_spec("timm") is None:
        return []
    import timm  # type: ignore[import-not-found, unused-ignore]

    return list(timm.list_models())


def versions(name: str) -> dict[str, str]:
    """Return the version of timm or of the plug-in that a network comes from; torchvision's is recorded anyway."""
    source, _, inner = name.partition(":")
    if source == "timm":
        return {"timm": version("timm")}
    return {name: plugins.version(inner)} if source == "plugin" else {}


@cache
def parameters(builder: Builder) -> dict[str, inspect.Parameter]:
    """Return the parameters of a builder by name; with **kwargs, also those of the class that it returns."""
    signature = inspect.signature(builder).parameters
    named = {name: parameter for name, parameter in signature.items() if parameter.kind is not parameter.VAR_KEYWORD}
    network = _hints(builder).get("return") if len(named) < len(signature) else None
    if not inspect.isclass(network):
        return named
    class_parameters, hints = inspect.signature(network).parameters, _hints(network.__init__)
    return {
        name: parameter.replace(annotation=hints.get(name, parameter.empty))
        for name, parameter in class_parameters.items()
        if name not in ("args", "kwargs")
    } | named


def _hints(function: Any) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function)
    except (NameError, TypeError):
        return {}


@cache
def options_of(builder: Builder) -> tuple[str, ...]:
    """Return the names of the parameters that network_options can set."""
    return tuple(name for name in parameters(builder) if name not in FIXED and not is_fixed(builder, name))


@cache
def is_fixed(builder: Builder, option: str) -> bool:
    """Return whether an option cannot be set: the builder sets it, or its value is a function or class, not YAML.

    What a builder sets shows only in a call: resnet18() sets block and layers, densenet121() sets growth_rate.
    """
    parameter = parameters(builder)[option]
    if not _is_plain(parameter.annotation):
        return True
    import torch

    value = None if parameter.default is parameter.empty else parameter.default
    try:
        with torch.device("meta"), torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            builder(**{option: value})
    except TypeError as error:
        return "multiple values for" in str(error)
    except Exception:  # the default is no valid value; the call with the configured value decides
        return False
    return False


def _is_plain(annotation: Any) -> bool:
    if annotation in (inspect.Parameter.empty, typing.Any) or isinstance(annotation, str):
        return True
    origin = typing.get_origin(annotation)
    if origin in (typing.Union, types.UnionType):
        return any(_is_plain(part) for part in typing.get_args(annotation) if part is not type(None))
    return (origin or annotation) in (bool, int, float, str, list, tuple, dict, Sequence, Mapping)


def _find_builder(source: str, inner: str) -> Builder:
    """Return the builder of a network; ConfigError for an unknown name."""
    if source == "timm" and find_spec("timm") is None:
        raise ConfigError(f"timm:{inner}: timm is not installed here; type: pip install 'snapshot-cli[timm]'")
    if source == "plugin":
        builder = plugins.find(inner)
        if builder is None:
            raise ConfigError(f"{_describe_unknown(source, inner)}; add --plugin FILE.py, or install its package")
        return builder
    if inner not in names(source):
        raise ConfigError(_describe_unknown(source, inner))
    if source == "torchvision":
        from torchvision import models

        return typing.cast("Builder", models.get_model_builder(inner))
    from timm import models as timm_models

    return typing.cast("Builder", timm_models.model_entrypoint(inner))


def _describe_unknown(source: str, inner: str) -> str:
    near = get_close_matches(inner, names(source), 3, 0.0)
    hint = f"; the nearest are {', '.join(f'{source}:{name}' for name in near)}" if near else ""
    return f"unknown network '{source}:{inner}'{hint}"


def _plugin_options(name: str, builder: Builder) -> list[str] | None:
    """Return the options that a plug-in's builder takes, None for any; ConfigError for a wrong signature."""
    accepted = list(inspect.signature(builder).parameters.values())
    first = [
        parameter.name
        for parameter in accepted[:3]
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    if tuple(first) != PLUGIN_PARAMETERS:
        raise ConfigError(
            f"{name}: expected a builder ({', '.join(PLUGIN_PARAMETERS)}, ...) -> nn.Module, "
            f"given {getattr(builder, '__name__', builder)}{inspect.signature(builder)}"
        )
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in accepted):
        return None
    return [parameter.name for parameter in accepted[3:] if parameter.kind is not parameter.VAR_POSITIONAL]


def _check_options(name: str, options: Mapping[str, Any], allowed: Sequence[str] | None) -> None:
    for option in options if allowed is not None else ():
        assert allowed is not None
        if option in allowed:
            continue
        near = get_close_matches(option, allowed, 1)
        hint = f"did you mean '{near[0]}'?" if near else f"its options are {', '.join(allowed) or 'none'}"
        if option in FIXED:
            hint = "the dataset and the other settings determine it"
        raise ConfigError(f"network_options: {name} has no option '{option}'; {hint}")


def _call(name: str, builder: Builder, arguments: Sequence[Any], options: Mapping[str, Any]) -> nn.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # meant for developers of torchvision and timm
            network = builder(*arguments, **options)
    except (Exception, SystemExit) as error:
        raise UserError(f"{name}: cannot be built for these settings: {plugins.describe_error(error)}") from error
    import torch
    from torch import nn

    if not isinstance(network, nn.Module):
        raise UserError(f"{name}: expected its builder to return an nn.Module, given {type(network).__name__}")
    for parameter in network.parameters():
        if parameter.is_floating_point() and parameter.dtype != torch.float32:
            kind = str(parameter.dtype).removeprefix("torch.")
            raise UserError(f"{name}: has {kind} parameters; keep them float32, and set precision to train in bfloat16")
    return network
