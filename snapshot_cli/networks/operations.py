"""Count the multiply-adds of a network for one image, from its name. Imports torch for external networks only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from snapshot_cli.errors import UserError
from snapshot_cli.networks import LARGE_IMAGE, build, plugins
from snapshot_cli.networks.names import is_external, parse

BOTTLENECKS = ((64, 3), (128, 4), (256, 6), (512, 3))  # channels and blocks of a ResNet-50's stages (He et al. 2015)


def count_multiply_adds(name: str, side: int, options: Mapping[str, Any] | None = None, *, classes: int = 10) -> int:
    """Return the multiply-adds of the convolutions in a forward pass over one image of side x side pixels.

    Batch norm and the linear layer are left out. Backward takes about twice as many as forward. Of external networks
    torch counts all, also linear layers and attention. Raises UserError for one that cannot take such images.
    """
    if is_external(name):
        return _count_with_torch(name, side, classes, json.dumps(options or {}, sort_keys=True))
    architecture = parse(name)
    if architecture.family == "imagenet-resnet":
        return _bottlenecks(side)
    side = side // 2 if side >= LARGE_IMAGE else side
    if architecture.family == "densenet":
        return _densenet(*architecture.sizes, side=side)
    return _resnet(*architecture.sizes, side=side)


@cache
def _count_with_torch(name: str, side: int, classes: int, options: str) -> int:
    """Return the multiply-adds per image that torch counts for two images; some networks refuse a batch of one."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with torch.random.fork_rng(devices=[]), torch.no_grad():
        network = build(name, classes, side, options=json.loads(options)).eval()
        try:
            with FlopCounterMode(display=False) as counter:
                network(torch.zeros(2, 3, side, side))
        except Exception as error:
            reason = plugins.describe_error(error)
            raise UserError(f"{name}: cannot take images of {side}x{side} pixels: {reason}") from error
    return int(counter.get_total_flops()) // 4


def _resnet(depth: int, width: int = 1, *, side: int) -> int:
    channels = 16 * width
    total = 9 * 3 * channels * side**2
    for inputs, outputs, pixels in ((1, 1, side**2), (1, 2, side**2 // 4), (2, 4, side**2 // 16)):
        first = 9 * inputs * outputs * channels**2 * pixels
        total += first + ((depth - 2) // 3 - 1) * 9 * (outputs * channels) ** 2 * pixels
    return total


def _densenet(depth: int, growth: int, *, side: int) -> int:
    layers, channels = (depth - 4) // 3, 16
    total = 9 * 3 * channels * side**2
    for block in range(3):
        total += sum(9 * (channels + growth * k) * growth for k in range(layers)) * side**2
        channels += growth * layers
        if block < 2:
            side //= 2  # without dropout, 2x2 pixels are averaged before the convolution
            total += channels**2 * side**2
    return total


def _bottlenecks(side: int) -> int:
    side = -(-side // 2)
    total, inputs = 49 * 3 * 64 * side**2, 64
    side = -(-side // 2)
    for stage, (channels, blocks) in enumerate(BOTTLENECKS):
        before, side = side, -(-side // 2) if stage else side
        for block in range(blocks):
            entered = before if block == 0 else side
            total += inputs * channels * entered**2 + (9 + 4) * channels**2 * side**2
            total += inputs * 4 * channels * side**2 if block == 0 else 0
            inputs = 4 * channels
    return total
