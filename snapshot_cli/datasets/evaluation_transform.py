"""Transform test images to the input of a network: one transform per dataset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from snapshot_cli.datasets.averaging import area_average
from snapshot_cli.datasets.manifest import Manifest
from snapshot_cli.datasets.store import Images

MARGIN = 256 / 224  # a test image's shorter side over the side of the crop: fb.resnet.torch
LONGEST = 100  # times the shorter side; the ends of longer images are cut before they take gigabytes
MAX_SIDE = 4096  # pixels of a side that a file of a stranger may resize to


@dataclass(frozen=True)
class EvaluationTransform:
    """Map an image (height, width, 3) uint8 to (side, side, 3) uint8, as for the test images of a dataset."""

    side: int
    shorter_side: int | None = None
    """Resize the shorter side to this many pixels and crop the center; None: average the central square over areas."""
    interpolation: str | None = None
    """Of the resizing: "bilinear"; None if areas are averaged."""

    @classmethod
    def of(cls, manifest: Manifest) -> Self:
        """Return the transform of a prepared dataset: streamed images are resized and cropped, others are averaged."""
        if manifest.folder is None:
            return cls(manifest.size)
        return cls.cropping(manifest.size)

    @classmethod
    def cropping(cls, side: int) -> Self:
        """Return ImageNet's transform: the shorter side becomes 8/7 of the side of the crop."""
        return cls(side, round(side * MARGIN), "bilinear")

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> Self:
        """Read the values that `facts` returns; ValueError, TypeError or LookupError for others."""
        transform = cls(int(facts["side"]), facts["shorter_side"], facts["interpolation"])
        if transform.side < 1:
            raise ValueError("side is at least 1")
        if transform.shorter_side is None:
            return transform
        if transform.interpolation != "bilinear" or not transform.side <= int(transform.shorter_side) <= MAX_SIDE:
            raise ValueError(f"expected bilinear interpolation to {transform.side} to {MAX_SIDE} pixels")
        return transform

    def facts(self) -> dict[str, Any]:
        """Return the transform as plain values for JSON."""
        return asdict(self)

    @property
    def description(self) -> str:
        """The transform as a sentence, for the model card."""
        if self.shorter_side is None:
            return (
                f"the central square, averaged over areas to {self.side}x{self.side} pixels; smaller images are refused"
            )
        return (
            f"resized so that the shorter side has {self.shorter_side} pixels ({self.interpolation}, antialiased), "
            f"then the central {self.side}x{self.side} pixels"
        )

    def __call__(self, image: Images) -> Images:
        """Return the transformed image; ValueError for an image that is too small to be averaged."""
        height, width = image.shape[:2]
        if self.shorter_side is not None:
            return self._resized(image)
        if min(height, width) < self.side:
            raise ValueError(f"{width}x{height}, too small for {self.side}x{self.side}")
        return image if height == width == self.side else area_average(image, self.side)

    def _resized(self, image: Images) -> Images:
        import torch
        from torchvision.transforms.v2 import functional  # type: ignore[import-untyped, unused-ignore]

        tensor = torch.from_numpy(image).permute(2, 0, 1)
        longest = LONGEST * min(image.shape[:2])
        tensor = functional.center_crop(tensor, [min(length, longest) for length in image.shape[:2]])
        resized = functional.resize(tensor, [self.shorter_side], antialias=True)
        cropped: Images = np.ascontiguousarray(functional.center_crop(resized, [self.side]).permute(1, 2, 0).numpy())
        return cropped
