"""The DenseNet of 2016: no bottleneck, no compression, 16 channels after the first convolution (Huang et al. 2016)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from snapshot_cli.networks.dense import Dense, is_supported


class Layer(nn.Module):
    """Append `growth` channels, BN-ReLU-conv3x3(-dropout) of all channels so far, to them."""

    def __init__(self, inputs: int, growth: int, *, dropout: float) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(inputs)
        self.conv = nn.Conv2d(inputs, growth, 3, padding=1, bias=False)
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.norm(x), inplace=True)
        return torch.cat((x, self.dropout(self.conv(y))), dim=1)


class Block(nn.ModuleList):
    """Run the layers in turn, then the batch norm over all their maps, which belongs to the next module, and ReLU."""

    def __init__(self, inputs: int, growth: int, *, layers: int, dropout: float) -> None:
        super().__init__(Layer(inputs + growth * k, growth, dropout=dropout) for k in range(layers))
        self.dropout = dropout

    def __iter__(self) -> Iterator[Layer]:
        return cast("Iterator[Layer]", super().__iter__())

    def forward(self, x: Tensor, norm: nn.BatchNorm2d) -> Tensor:
        if self.training and is_supported(x):
            norms = [*(layer.norm for layer in self), norm]
            parameters = [
                parameter for layer in self for parameter in (layer.norm.weight, layer.norm.bias, layer.conv.weight)
            ]
            activated: Tensor = Dense.apply(x, norms, self.dropout, *parameters, norm.weight, norm.bias)
            return activated
        for layer in self:
            x = layer(x)
        return functional.relu(norm(x), inplace=True)


class Transition(nn.Module):
    """Halve the side: BN-ReLU-conv1x1(-dropout) with equal channels, then the mean of 2x2 pixels.

    The block before applies BN-ReLU. Without dropout the mean is taken first: a quarter of the work for the 1x1
    convolution, and equal results up to rounding.
    """

    def __init__(self, channels: int, *, dropout: float) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.conv = nn.Conv2d(channels, channels, 1, bias=False)
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()

    def forward(self, y: Tensor) -> Tensor:
        if isinstance(self.dropout, nn.Identity):
            halved: Tensor = self.conv(functional.avg_pool2d(y, 2))
            return halved
        return functional.avg_pool2d(self.dropout(self.conv(y)), 2)


class DenseNet(nn.Module):
    """Map images (examples, 3, side, side) to logits (examples, classes) with 3N+4 layers; `growth` is the paper's k.

    Dropout follows every convolution except the first (liuzhuang13/DenseNet).
    """

    def __init__(self, depth: int, growth: int, *, classes: int = 10, stride: int = 1, dropout: float = 0.0) -> None:
        super().__init__()
        layers = (depth - 4) // 3
        ends = [16 + growth * layers * block for block in range(4)]
        self.conv = nn.Conv2d(3, ends[0], 3, stride, padding=1, bias=False)
        self.block1 = Block(ends[0], growth, layers=layers, dropout=dropout)
        self.transition1 = Transition(ends[1], dropout=dropout)
        self.block2 = Block(ends[1], growth, layers=layers, dropout=dropout)
        self.transition2 = Transition(ends[2], dropout=dropout)
        self.block3 = Block(ends[2], growth, layers=layers, dropout=dropout)
        self.norm = nn.BatchNorm2d(ends[3])
        self.classifier = nn.Linear(ends[3], classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.transition1(self.block1(self.conv(x), self.transition1.norm))
        x = self.transition2(self.block2(x, self.transition2.norm))
        x = self.block3(x, self.norm)
        logits: Tensor = self.classifier(x.mean((2, 3)))
        return logits
