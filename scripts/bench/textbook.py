"""The common DenseNet, written as in its paper: every layer normalises and concatenates all earlier channels."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from snapshot_cli.networks import build, initialise
from snapshot_cli.networks.names import parse


class Layer(nn.Sequential):
    """BN-ReLU-conv3x3, whose output is appended to its input."""

    def __init__(self, inputs: int, growth: int) -> None:
        convolution = nn.Conv2d(inputs, growth, 3, padding=1, bias=False)
        super().__init__(nn.BatchNorm2d(inputs), nn.ReLU(inplace=True), convolution)

    def forward(self, x: Tensor) -> Tensor:
        """Return x and the layer's output, concatenated."""
        return torch.cat((x, super().forward(x)), 1)


def network(name: str) -> nn.Module:
    """Return a network for 32x32 images in 10 classes: a DenseNet as defined here, others from this package."""
    architecture = parse(name)
    if architecture.family != "densenet":
        return build(name)
    depth, growth = architecture.sizes
    channels, modules = 16, [nn.Conv2d(3, 16, 3, padding=1, bias=False)]
    for block in range(3):
        for _ in range((depth - 4) // 3):
            modules.append(Layer(channels, growth))
            channels += growth
        modules += [nn.BatchNorm2d(channels), nn.ReLU(inplace=True)]
        if block < 2:
            modules += [nn.Conv2d(channels, channels, 1, bias=False), nn.AvgPool2d(2)]
    whole = nn.Sequential(*modules, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10))
    initialise(whole)
    return whole
