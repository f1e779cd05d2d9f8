"""Networks by name; importing this package does not import torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from snapshot_cli.errors import UserError
from snapshot_cli.networks.names import SKIPPABLE, is_external, parse

if TYPE_CHECKING:
    from torch import nn

LARGE_IMAGE = 64  # from this side on the first convolution takes stride 2, as the paper does for Tiny ImageNet


def build(
    name: str,
    classes: int = 10,
    image_size: int = 32,
    dropout: float = 0.0,
    *,
    stochastic_depth: float = 0.0,
    options: Mapping[str, Any] | None = None,
) -> nn.Module:
    """Return the network of that name for square images, freshly initialised from torch's random generator.

    `options` go to the builder of an external network. Raises ValueError for an unknown name, UserError for an
    image side, a dropout, a stochastic depth or options that the network cannot take.
    """
    architecture = parse(name)
    if stochastic_depth and architecture.family not in SKIPPABLE:
        raise UserError(f"{name} has no blocks to skip; take stochastic_depth out or set it to 0")
    if is_external(name):
        from snapshot_cli.networks import external

        return external.build(name, classes, image_size, dropout, options or {})
    if options:
        raise UserError(f"{name} takes no network_options; they are for torchvision, timm and plugin networks")
    stride = _first_stride(name, image_size)
    network: nn.Module
    if architecture.family == "imagenet-resnet":
        if dropout:
            raise UserError(f"{name} has no dropout; take dropout out or set it to 0")
        from torchvision.models import resnet50  # type: ignore[import-untyped, unused-ignore]

        network = resnet50(weights=None, num_classes=classes)
    elif architecture.family == "densenet":
        from snapshot_cli.networks.densenet import DenseNet

        network = DenseNet(*architecture.sizes, classes=classes, stride=stride, dropout=dropout)
    else:
        from snapshot_cli.networks.resnet import ResNet

        network = ResNet(
            *architecture.sizes, classes=classes, stride=stride, dropout=dropout, stochastic_depth=stochastic_depth
        )
    if not any(parameter.is_meta for parameter in network.parameters()):  # there, drawing imports half of torch
        initialise(network)
    return network


def initialise(network: nn.Module) -> None:
    """Draw the convolutions from N(0, sqrt(2 / (kW kH nOut))); BN weight 1 and bias 0, linear bias 0 (fb.resnet.torch).

    The linear weights keep torch's default, uniform within 1 / sqrt(inputs), which is also Lua Torch's.
    """
    from torch import nn

    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)


def _first_stride(name: str, image_size: int) -> int:
    stride = 2 if image_size >= LARGE_IMAGE else 1
    multiple = 4 * stride
    if image_size < 1 or image_size % multiple:
        near = max(multiple, -(-image_size // multiple) * multiple)
        raise UserError(
            f"{name} cannot take images of {image_size}x{image_size} pixels: the side must be a multiple of {multiple};"
            f" prepare them again with --size {near}"
        )
    return stride
