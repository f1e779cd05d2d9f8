"""The original post-activation ResNet for small images, and the paper's Wide-ResNet: the same net, K times wider."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class Block(nn.Module):
    """Add two 3x3 convolutions to a parameter-free shortcut (He et al. 2015, figure 2 and option A)."""

    def __init__(self, inputs: int, channels: int, *, stride: int, dropout: float) -> None:
        super().__init__()
        self.channels, self.stride = channels, stride
        self.conv1 = nn.Conv2d(inputs, channels, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        # between the two convolutions, as in szagoruyko/wide-residual-networks; the paper does not say where
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.norm1(self.conv1(x)), inplace=True)
        y = self.norm2(self.conv2(self.dropout(y)))
        y += self.shortcut(x)
        return functional.relu(y, inplace=True)

    def shortcut(self, x: Tensor) -> Tensor:
        """Return every `stride`-th pixel with zero channels appended, as fb.resnet.torch does for its type A."""
        added = self.channels - x.shape[1]
        if self.stride == 1 and added == 0:
            return x
        return functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, added))


class ResNet(nn.Module):
    """Map images (examples, 3, side, side) to logits (examples, classes) with 6n+2 layers; `width` is the paper's K.

    The first convolution is widened with the others, since a block of fb.resnet.torch can only double the channels.
    """

    def __init__(self, depth: int, width: int = 1, *, classes: int = 10, stride: int = 1, dropout: float = 0.0) -> None:
        super().__init__()
        blocks, channels = (depth - 2) // 6, 16 * width
        self.conv = nn.Conv2d(3, channels, 3, stride, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.stage1 = _stage(channels, channels, blocks=blocks, stride=1, dropout=dropout)
        self.stage2 = _stage(channels, 2 * channels, blocks=blocks, stride=2, dropout=dropout)
        self.stage3 = _stage(2 * channels, 4 * channels, blocks=blocks, stride=2, dropout=dropout)
        self.classifier = nn.Linear(4 * channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.norm(self.conv(x)), inplace=True)
        x = self.stage3(self.stage2(self.stage1(x)))
        logits: Tensor = self.classifier(x.mean((2, 3)))
        return logits


def _stage(inputs: int, channels: int, *, blocks: int, stride: int, dropout: float) -> nn.Sequential:
    first = Block(inputs, channels, stride=stride, dropout=dropout)
    return nn.Sequential(first, *(Block(channels, channels, stride=1, dropout=dropout) for _ in range(blocks - 1)))
