"""The original post-activation ResNet for small images, and the paper's Wide-ResNet: the same net, K times wider."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


class Block(nn.Module):
    """Add two 3x3 convolutions to a parameter-free shortcut (He et al. 2015, figure 2 and option A).

    `survival` is the probability that a training batch passes through them; later they are scaled by it (Huang et al.
    2016, equations 2 and 5).
    """

    def __init__(self, inputs: int, channels: int, *, stride: int, dropout: float, survival: float = 1.0) -> None:
        super().__init__()
        self.channels, self.stride, self.survival = channels, stride, survival
        self.conv1 = nn.Conv2d(inputs, channels, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        # between the two convolutions, as in szagoruyko/wide-residual-networks; the paper does not say where
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.norm1(self.conv1(x)), inplace=True)
        y = self.norm2(self.conv2(self.dropout(y)))
        if self.survival < 1:
            y = y * self.gate(y)
        y += self.shortcut(x)
        return functional.relu(y, inplace=True)

    def gate(self, y: Tensor) -> Tensor | float:
        """Return 1 or 0, drawn once for a training batch, and the survival probability in evaluation mode.

        A closed gate is a factor of 0 and no branch, so that the host need not wait for it: the block's batch norm
        still sees the batch, and its weights still decay.
        """
        return torch.bernoulli(torch.full((), self.survival, device=y.device)) if self.training else self.survival

    def shortcut(self, x: Tensor) -> Tensor:
        """Return every `stride`-th pixel with zero channels appended, as fb.resnet.torch does for its type A."""
        added = self.channels - x.shape[1]
        if self.stride == 1 and added == 0:
            return x
        return functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, added))


class ResNet(nn.Module):
    """Map images (examples, 3, side, side) to logits (examples, classes) with 6n+2 layers; `width` is the paper's K.

    The first convolution is widened with the others, since a block of fb.resnet.torch can only double the channels.
    `stochastic_depth` is the probability of skipping the last block (Huang et al. 2016).
    """

    def __init__(
        self,
        depth: int,
        width: int = 1,
        *,
        classes: int = 10,
        stride: int = 1,
        dropout: float = 0.0,
        stochastic_depth: float = 0.0,
    ) -> None:
        super().__init__()
        blocks, channels = (depth - 2) // 6, 16 * width
        survivals = survival_probabilities(3 * blocks, stochastic_depth)
        self.conv = nn.Conv2d(3, channels, 3, stride, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        first, second, third = (survivals[blocks * stage : blocks * (stage + 1)] for stage in range(3))
        self.stage1 = _stage(channels, channels, stride=1, dropout=dropout, survivals=first)
        self.stage2 = _stage(channels, 2 * channels, stride=2, dropout=dropout, survivals=second)
        self.stage3 = _stage(2 * channels, 4 * channels, stride=2, dropout=dropout, survivals=third)
        self.classifier = nn.Linear(4 * channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.norm(self.conv(x)), inplace=True)
        x = self.stage3(self.stage2(self.stage1(x)))
        logits: Tensor = self.classifier(x.mean((2, 3)))
        return logits


def survival_probabilities(blocks: int, drop: float) -> list[float]:
    """Return the probabilities of blocks 1..L: 1 - drop l / L, a linear decay (Huang et al. 2016, equation 4)."""
    return [1 - drop * block / blocks for block in range(1, blocks + 1)]


def _stage(inputs: int, channels: int, *, stride: int, dropout: float, survivals: Sequence[float]) -> nn.Sequential:
    places = [(inputs, stride)] + [(channels, 1)] * (len(survivals) - 1)
    return nn.Sequential(
        *(
            Block(before, channels, stride=step, dropout=dropout, survival=survival)
            for (before, step), survival in zip(places, survivals, strict=True)
        )
    )
