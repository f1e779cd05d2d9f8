"""Augment a batch of images: random crops of bordered images, mirroring, colour alteration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

# The principal components of ImageNet's colours, one a column of red, green and blue, and their sizes where colours go
# from 0 to 1: the constants of fb.resnet.torch.
COMPONENTS = ((-0.5675, 0.7192, 0.4009), (-0.5808, -0.0045, -0.8140), (-0.5836, -0.6948, 0.4203))
SIZES = (0.2175, 0.0188, 0.0045)


@dataclass(frozen=True)
class Bordered:
    """Images, and the border that `at` adds."""

    pixels: torch.Tensor
    """uint8 (examples, side, side, 3), without the border."""

    frame: torch.Tensor
    """An image that is all border: uint8 red, green, blue and an unused byte (side with border, the same, 4)."""

    @property
    def side(self) -> int:
        """Pixels of a side without the border."""
        return self.pixels.shape[1]

    @property
    def padding(self) -> int:
        """Pixels of the border."""
        return (len(self.frame) - self.side) // 2

    def at(self, indices: torch.Tensor) -> torch.Tensor:
        """Return some images with their border, one int32 per pixel (images, pixels)."""
        framed, inner = self.frame.repeat(len(indices), 1, 1, 1), slice(self.padding, self.padding + self.side)
        framed[:, inner, inner, :3] = self.pixels[indices]
        return framed.view(torch.int32).view(len(indices), -1)


@dataclass(frozen=True)
class Draws:
    """Hold the random draws of augmentation, one entry per image of a batch or an epoch."""

    top: torch.Tensor
    left: torch.Tensor
    mirrored: torch.Tensor

    light: torch.Tensor | None = None
    """Added to red, green and blue, 0..255: float32 (examples, 3); None: nothing."""

    def __getitem__(self, part: slice) -> Draws:
        light = None if self.light is None else self.light[part]
        return Draws(self.top[part], self.left[part], self.mirrored[part], light)

    def to(self, device: torch.device) -> Draws:
        """Return the draws on a device."""
        light = None if self.light is None else self.light.to(device)
        return Draws(self.top.to(device), self.left.to(device), self.mirrored.to(device), light)


def bordered(images: torch.Tensor, *, padding: int, fill: Sequence[float]) -> Bordered:
    """Return uint8 images (examples, side, side, 3) with a border of the colour `fill`, rounded to whole grey levels.

    The authors' code pads with zeros after normalisation, which is the same border up to that rounding.
    """
    whole = images.shape[1] + 2 * padding
    colour = torch.tensor([*(round(value) for value in fill), 0], dtype=torch.uint8, device=images.device)
    return Bordered(images, colour.repeat(whole, whole, 1))


def draw(examples: int, *, padding: int, flip: bool, generator: torch.Generator, lighting: float = 0.0) -> Draws:
    """Draw the corner of the crop, uniformly, and with `flip` whether the image is mirrored, with probability 1/2.

    With `lighting`, the standard deviation of the three factors of `light_of`, draw its light too.
    """
    top, left = torch.randint(0, 2 * padding + 1, (2, examples), generator=generator)
    mirrored = torch.rand(examples, generator=generator) < (0.5 if flip else 0.0)
    light = light_of(lighting * torch.randn((examples, 3), generator=generator)) if lighting else None
    return Draws(top, left, mirrored, light)


def light_of(factors: torch.Tensor) -> torch.Tensor:
    """Convert factors (examples, 3) of principal components to changes of red, green and blue, 0..255 (examples, 3).

    The colour alteration of Krizhevsky et al., 2012, section 4.1: the components times their sizes times the factors.
    """
    return factors @ (255 * torch.tensor(COMPONENTS) * torch.tensor(SIZES)).T


def centred(examples: int, padding: int, device: torch.device) -> Draws:
    """Return draws that leave images unchanged."""
    middle = torch.full((examples,), padding, device=device)
    return Draws(middle, middle, torch.zeros(examples, dtype=torch.bool, device=device))


def gather(images: Bordered, indices: torch.Tensor, draws: Draws) -> torch.Tensor:
    """Return the crops of the images at `indices` as uint8 (batch, 3, side, side) with the strides of channels_last."""
    side, whole = images.side, len(images.frame)
    steps = torch.arange(side, device=indices.device)
    rows = draws.top[:, None] + steps
    columns = draws.left[:, None] + torch.where(draws.mirrored[:, None], side - 1 - steps, steps)
    positions = (rows[:, :, None] * whole + columns[:, None, :]).view(len(indices), -1)
    pixels = images.at(indices).gather(1, positions)
    return pixels.view(torch.uint8).view(-1, side, side, 4)[..., :3].permute(0, 3, 1, 2)


def normalise(images: torch.Tensor, mean: torch.Tensor, std: torch.Tensor) -> torch.Tensor:
    """Return (images - mean) / std as float32 in the format channels_last; mean and std are (1, 3, 1, 1)."""
    result = torch.empty(images.shape, device=images.device, memory_format=torch.channels_last)
    return result.copy_(images).sub_(mean).div_(std)
